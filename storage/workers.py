"""Which workers are alive: each says so from time to time."""

from __future__ import annotations

from sqlalchemy import and_, delete, func, insert, select, update

from api_schemas.jobs import Sandbox
from api_schemas.workers import Worker
from storage.clock import as_datetime, microseconds, now_us
from storage.database import Database
from storage.schema import JOBS, WORKERS


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

    def list_workers(self, *, alive_within_s: float) -> tuple[Worker, ...]:
        """The workers that are known, those seen last first; alive are those that beat within that time."""
        mine = and_(JOBS.c.worker_id == WORKERS.c.id, JOBS.c.state == "running")
        running = select(func.count()).where(mine).correlate(WORKERS).scalar_subquery()
        alive = WORKERS.c.seen_us >= now_us() - microseconds(alive_within_s)
        query = select(WORKERS, running.label("running"), alive.label("alive")).order_by(WORKERS.c.seen_us.desc())
        with self.read() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Worker(
                id=row.id,
                capacity=row.capacity,
                running=row.running,
                sandbox=row.sandbox,
                alive=bool(row.alive),
                last_seen_at=as_datetime(row.seen_us),
            )
            for row in rows
        )

    def forget_workers(self, *, older_than_s: float) -> None:
        """Removes workers that were not seen for so long."""
        with self.write() as connection:
            connection.execute(delete(WORKERS).where(WORKERS.c.seen_us < now_us() - microseconds(older_than_s)))
