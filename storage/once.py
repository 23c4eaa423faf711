"""Requests that are done once however often they are sent: the `Idempotency-Key` header, in SQL.

A request takes its key before it does anything, and the transaction that makes the job also stores the answer under the
key. So either both are there or neither, whatever dies in between. A key whose holder died is free again after a while;
a holder that was only slow then finds that the key is not its own any more, and what it was about to make is undone.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sterna.errors import IdempotencyKeyReused, RequestInProgress
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.schema import ONCE


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A request that may be sent again.

    Attributes:
        tenant: whose it is.
        route: which call; the same key on two routes is two keys.
        key: what the sender calls it.
        fingerprint: the same for the same payload, another for any other.
    """

    tenant: str
    route: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to handle a request, held by one of those who try."""

    request: Repeatable
    owner: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What was answered when the request was first handled."""

    location: str
    body: str


class Once(Database):
    """The part of the ledger that knows which requests were handled."""

    def take_turn(self, request: Repeatable, *, hold_s: float) -> Turn | Replay:
        """Takes the key of a request.

        Args:
            request: what came.
            hold_s: the key is free again after this time, should its holder die.

        Returns:
            The turn to handle it, or what was answered before.

        Raises:
            IdempotencyKeyReused: the key came with another payload.
            RequestInProgress: the same request is being handled.
        """
        turn = Turn(request, uuid.uuid4().hex)
        try:
            with self.write() as connection:
                return _take(connection, turn, hold_s)
        except IntegrityError:
            # Another process inserted the key between the look and the insert.
            try:
                with self.write() as connection:
                    return _take(connection, turn, hold_s)
            except IntegrityError:
                # It gave the key up, and a third took it in the same moment.
                raise _in_progress(request) from None

    def keep_turn(self, turn: Turn, *, hold_s: float) -> None:
        """Holds the key for so long from now; one that is answered or another's stays as it is."""
        with self.write() as connection:
            connection.execute(update(ONCE).where(_own(turn)).values(held_until_us=now_us() + microseconds(hold_s)))

    def give_up_turn(self, turn: Turn) -> None:
        """Frees the key of a request that was refused, so that it may be sent again, mended or not."""
        with self.write() as connection:
            connection.execute(delete(ONCE).where(_own(turn)))

    def forget_turns(self, *, older_than_s: float) -> None:
        """Removes keys that were used longer ago than that."""
        with self.write() as connection:
            connection.execute(delete(ONCE).where(ONCE.c.created_us < now_us() - microseconds(older_than_s)))


def fulfil(connection: Connection, turn: Turn, *, location: str, body: str) -> None:
    """Stores the answer, in the transaction that makes what the answer is about.

    Raises:
        RequestInProgress: the turn was lost to another try; the transaction is to be undone.
    """
    done = connection.execute(update(ONCE).where(_own(turn)).values(location=location, body=body))
    if done.rowcount != 1:
        raise _in_progress(turn.request)


def _take(connection: Connection, turn: Turn, hold_s: float) -> Turn | Replay:
    request = turn.request
    held = {"owner": turn.owner, "held_until_us": now_us() + microseconds(hold_s)}
    row = connection.execute(
        select(ONCE, (ONCE.c.held_until_us < now_us()).label("is_free")).where(_key(request))
    ).one_or_none()
    if row is None:
        known = {"tenant": request.tenant, "route": request.route, "key": request.key}
        values = known | {"fingerprint": request.fingerprint, "created_us": now_us()} | held
        connection.execute(insert(ONCE).values(values))
        return turn
    if row.fingerprint != request.fingerprint:
        raise IdempotencyKeyReused(
            f"the Idempotency-Key {request.key[:80]!r} was used with another payload",
            hint="make a new key for each new request, and keep it when you send the same request again",
        )
    if row.body is not None:
        return Replay(row.location, row.body)
    taken = update(ONCE).where(_key(request), ONCE.c.body.is_(None), ONCE.c.held_until_us < now_us())
    if not row.is_free or connection.execute(taken.values(held)).rowcount != 1:
        raise _in_progress(request)
    return turn


def _key(request: Repeatable) -> ColumnElement[bool]:
    return and_(ONCE.c.tenant == request.tenant, ONCE.c.route == request.route, ONCE.c.key == request.key)


def _own(turn: Turn) -> ColumnElement[bool]:
    return and_(_key(turn.request), ONCE.c.owner == turn.owner, ONCE.c.body.is_(None))


def _in_progress(request: Repeatable) -> RequestInProgress:
    return RequestInProgress(
        f"the request with the Idempotency-Key {request.key[:80]!r} is being handled",
        hint="send it again in a moment: the answer will be that of the first",
        retry_after_s=1,
    )
