"""Which workers are alive: each says so from time to time."""

from __future__ import annotations

from sqlalchemy import func, insert, select, update

from api_schemas.jobs import Sandbox
from storage.clock import microseconds, now_us
from storage.database import Database
from storage.schema import WORKERS


class Workers(Database):
    """The part of the ledger that knows the workers."""

    def beat(self, worker_id: str, *, capacity: int, sandbox: Sandbox = "limits") -> None:
        """Says that a worker is alive, how many jobs it takes at a time and what holds their processes."""
        seen = {"capacity": capacity, "sandbox": sandbox, "seen_us": now_us()}
        with self.write() as connection:
            known = connection.execute(update(WORKERS).where(WORKERS.c.id == worker_id).values(seen))
            if known.rowcount == 0:
                connection.execute(insert(WORKERS).values(id=worker_id, **seen))

    def alive_workers(self, *, within_s: float) -> int:
        """How many workers beat in the last `within_s` seconds."""
        recent = WORKERS.c.seen_us >= now_us() - microseconds(within_s)
        with self.read() as connection:
            return connection.execute(select(func.count()).select_from(WORKERS).where(recent)).scalar_one()
