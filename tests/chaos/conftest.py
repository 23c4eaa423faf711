from __future__ import annotations

import pytest

from tests.chaos.installation import Servers


@pytest.fixture
def servers(postgres, valkey, s3):
    """The real servers of the session; whoever kills one starts it again."""
    return Servers(postgres, valkey, s3)
