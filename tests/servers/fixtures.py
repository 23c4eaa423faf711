"""The servers as fixtures of the whole session; each starts when a test first asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from storage.database import upgrade_database
from tests.servers.postgres import RealPostgres
from tests.servers.s3 import RealS3
from tests.servers.valkey import RealValkey

_TEMPLATE = "sterna_newest"


@pytest.fixture(scope="session")
def postgres() -> Iterator[RealPostgres]:
    """A PostgreSQL that has a database of the newest revision to copy."""
    with RealPostgres() as server:
        server.sql(f"CREATE DATABASE {_TEMPLATE}")
        upgrade_database(server.url(_TEMPLATE))
        yield server


@pytest.fixture
def postgres_url(postgres) -> Iterator[str]:
    """The address of a database of this test's own, with our tables in it."""
    with postgres.database(template=_TEMPLATE) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres) -> Iterator[str]:
    """The address of a database of this test's own, with nothing in it."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def valkey() -> Iterator[RealValkey]:
    """A Valkey."""
    with RealValkey() as server:
        yield server


@pytest.fixture
def valkey_url(valkey) -> Iterator[str]:
    """The address of a database with nothing in it."""
    valkey.clear()
    yield valkey.url()
    valkey.clear()


@pytest.fixture(scope="session")
def s3() -> Iterator[RealS3]:
    """An S3 store."""
    with RealS3() as server:
        yield server


@pytest.fixture
def s3_url(s3, monkeypatch) -> str:
    """An address of this test's own in a bucket, with all that says how to reach it in the environment."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket}/a prefix {uuid.uuid4().hex}"
