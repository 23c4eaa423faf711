"""How jobs stand, for many who ask at once: questions that arrive together become one look at the ledger.

A poll is the most frequent request by far, and what it costs is the way to a thread and to the database. So there is
one look at a time: who asks while it is under way joins the next, which reads all their jobs in one query. Nobody is
told what was true before they asked. A job that has not changed since it was last told is not read or written out
again; its row says so by two numbers (`storage/jobs.py`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from api_schemas.jobs import Job
from service.conditional import content_etag
from service.links import linked
from storage import Ledger
from storage.jobs import JobVersion
from storage.records import no_such_job

_MOST_KNOWN = 2000
_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Told:
    """A job as it is told.

    Attributes:
        body: as JSON.
        etag: of the body.
    """

    job: Job
    body: bytes
    etag: str


def told_of(job: Job) -> Told:
    """A job written out."""
    body = linked(job).model_dump_json(by_alias=True).encode()
    return Told(job, body, content_etag(body))


Name = tuple[str, str]
"""Tenant and id."""


class JobReader:
    """Reads jobs for one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked: dict[Name, asyncio.Future[Told]] = {}
        self._known: OrderedDict[Name, tuple[JobVersion, Told]] = OrderedDict()
        self._looking: asyncio.Task[None] | None = None

    async def read(self, job_id: str, *, tenant: str) -> Told:
        """How a tenant's job stands now.

        Raises:
            NotFound: there is no such job.
        """
        name = (tenant, job_id)
        future = self._asked.get(name)
        if future is None:
            future = self._asked[name] = asyncio.get_running_loop().create_future()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        # One who leaves must not take the answer of the others along.
        return await asyncio.shield(future)

    async def _look(self) -> None:
        try:
            while self._asked:
                names = list(self._asked)[:_MOST_AT_ONCE]
                asked = {name: self._asked.pop(name) for name in names}
                try:
                    await run_in_threadpool(self._refresh, names)
                except Exception as error:  # noqa: BLE001  whoever asked gets it, whatever it is
                    for future in asked.values():
                        future.set_exception(error)
                        future.exception()  # it may be that nobody waits any more
                    continue
                for name, future in asked.items():
                    if name in self._known:
                        future.set_result(self._known[name][1])
                    else:
                        future.set_exception(no_such_job(name[1]))
                        future.exception()
                while len(self._known) > _MOST_KNOWN:
                    self._known.popitem(last=False)
        finally:
            self._looking = None

    def _refresh(self, names: list[Name]) -> None:
        """Brings what is known of these jobs up to date; runs in a thread, one at a time."""
        versions = self._ledger.job_versions([job_id for _, job_id in names])
        changed = []
        for name in names:
            version = versions.get(name[1])
            if version is None or version.tenant != name[0]:
                self._known.pop(name, None)
            elif name not in self._known or self._known[name][0] != version:
                changed.append(name)
            else:
                self._known.move_to_end(name)
        for version, job in self._ledger.jobs_with_versions([job_id for _, job_id in changed]):
            self._known[version.tenant, job.id] = (version, told_of(job))
