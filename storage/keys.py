"""API keys: who may ask for what. A key is shown once, when it is made; what is kept is its digest.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back: there is nothing to guess and nothing to salt.
"""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from sterna.digest import text_digest
from sterna.errors import InvalidSpec, NotFound
from storage.clock import as_datetime, now_us
from storage.database import Database
from storage.schema import API_KEYS

Scope = Literal["read", "submit", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""Each includes those before it."""

_PREFIX: Final = "sterna_"
_KEY_ID = re.compile(r"key_[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
# As `secrets.token_urlsafe(32)` writes 256 bits.
_KEY = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    id: str
    tenant: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None

    def may(self, scope: Scope) -> bool:
        """Whether the key's scope includes that one."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


class Keys(Database):
    """The part of the ledger that knows the keys."""

    def create_key(self, *, tenant: str, name: str, scope: Scope) -> tuple[ApiKey, str]:
        """Makes a key.

        Args:
            tenant: whose things it opens; a new name makes a new tenant.
            name: what its holder is called, to know which one to revoke.
            scope: the most that it may do.

        Returns:
            What is known of it, and the key: nobody can read it again.

        Raises:
            InvalidSpec: tenant or name hold more than letters, digits and `._-`.
        """
        key = _PREFIX + secrets.token_urlsafe(32)
        return self._insert_key(key, tenant=tenant, name=name, scope=scope), key

    def import_key(self, key: str, *, tenant: str, name: str, scope: Scope) -> ApiKey:
        """Makes a key known that was made elsewhere: `sterna_` and 256 random bits in URL-safe base64.

        May be done again: a key that is known stays as it is, also when it was revoked.

        Returns:
            What is known of it.

        Raises:
            InvalidSpec: the key does not look like one, or tenant or name hold what they may not.
        """
        if not _KEY.fullmatch(key):
            raise InvalidSpec(
                f"the key, {len(key)} characters long, is none of ours",
                hint=f"{_PREFIX!r}, then 43 letters, digits, dashes and underscores: 32 random bytes in base64",
            )
        try:
            return self._insert_key(key, tenant=tenant, name=name, scope=scope)
        except IntegrityError:
            with self.read() as connection:
                known = select(API_KEYS).where(API_KEYS.c.sha256 == text_digest(key))
                return _key_of(connection.execute(known).one())

    def _insert_key(self, key: str, *, tenant: str, name: str, scope: Scope) -> ApiKey:
        for what, text in (("tenant", tenant), ("name", name)):
            if not _NAME.fullmatch(text):
                raise InvalidSpec(
                    f"the {what} {text[:80]!r} cannot be used",
                    hint="1 to 63 letters, digits, dots, dashes and underscores, the first a letter or a digit",
                )
        row = {"id": f"key_{uuid.uuid4().hex}", "tenant": tenant, "name": name, "scope": scope}
        values = row | {"sha256": text_digest(key), "created_us": now_us()}
        with self.write() as connection:
            return _key_of(connection.execute(insert(API_KEYS).values(values).returning(*API_KEYS.c)).one())

    def find_key(self, key: str) -> ApiKey | None:
        """The key that somebody shows, unless it is unknown or revoked."""
        with self.read() as connection:
            # Compared by digest: how long that takes says nothing about the key.
            query = select(API_KEYS).where(API_KEYS.c.sha256 == text_digest(key), API_KEYS.c.revoked_us.is_(None))
            row = connection.execute(query).one_or_none()
        return None if row is None else _key_of(row)

    def keys(self) -> tuple[ApiKey, ...]:
        """All keys, revoked ones too, oldest first."""
        with self.read() as connection:
            rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_us, API_KEYS.c.id)).all()
        return tuple(_key_of(row) for row in rows)

    def has_keys(self, *, usable: bool = False) -> bool:
        """Whether a key was ever made; with `usable`, whether one can be used."""
        query = select(API_KEYS.c.id).limit(1)
        if usable:
            query = query.where(API_KEYS.c.revoked_us.is_(None))
        with self.read() as connection:
            return connection.execute(query).first() is not None

    def revoke_key(self, key_id: str) -> ApiKey:
        """Makes a key useless, from its next use on; revoking it again changes nothing.

        Raises:
            NotFound: there is no key with that id.
        """
        live = update(API_KEYS).where(API_KEYS.c.id == key_id, API_KEYS.c.revoked_us.is_(None))
        with self.write() as connection:
            row = None
            if _KEY_ID.fullmatch(key_id):  # a string that cannot be an id never reaches the database
                connection.execute(live.values(revoked_us=now_us()))
                row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).one_or_none()
        if row is None:
            raise NotFound(f"there is no key {key_id[:80]!r}", hint="`sterna keys list` shows their ids")
        return _key_of(row)


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        scope=row.scope,
        created_at=as_datetime(row.created_us),
        revoked_at=None if row.revoked_us is None else as_datetime(row.revoked_us),
    )
