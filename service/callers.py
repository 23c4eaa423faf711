"""Who is asking: the tenant whose things a request may see and change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from storage.schema import LOCAL


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in.

    Attributes:
        tenant: whose things are theirs.
    """

    tenant: str


async def _local() -> Caller:
    return Caller(LOCAL)


TheCaller = Annotated[Caller, Depends(_local)]
