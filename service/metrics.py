"""Metrics for Prometheus: what this process answered, and how the ledger stands when it is asked.

Labels are few and bounded: routes by their pattern, never ids. Green answers hide workers that hear nothing, so the age
of the queue and the time since a job was last taken are told too. What alerts and the dashboard in docker/ ask for is
here, and a test compares them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Scope

from api_schemas.jobs import JOB_STATES, TERMINAL_STATES
from storage import Ledger, Settings

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The figures of this process."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_DiskCollector(settings.data_dir))
        # Apart: it is left out where the ledger does not answer, and the rest is told.
        self._of_ledger = CollectorRegistry()
        self._of_ledger.register(_LedgerCollector(ledger, settings.worker_alive_s))
        self._up = Gauge(
            "sterna_backend_up", "Whether it answered just now: 1 or 0.", ("backend",), registry=self._registry
        )
        self._requests = Counter(
            "sterna_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "sterna_http_request_seconds",
            "Time until the end of the answer; long polls take as long as they were asked to.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        # Finding a counter by its labels costs more than counting.
        self._counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.in_flight = Gauge(
            "sterna_http_requests_in_flight", "Requests that are being answered.", registry=self._registry
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        kind = (method, route_of(scope), status)
        counters = self._counters.get(kind)
        if counters is None:
            counters = (self._requests.labels(*map(str, kind)), self._seconds.labels(kind[1]))
            self._counters[kind] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def text(self, up: Mapping[str, bool]) -> bytes:
        """All figures in the text format.

        Args:
            up: which of `database`, `storage` and `broker` answer; the ledger is asked where the first does.
        """
        for backend, answers in up.items():
            self._up.labels(backend).set(answers)
        return generate_latest(self._registry) + (generate_latest(self._of_ledger) if up["database"] else b"")


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def route_of(scope: Scope) -> str:
    """The pattern of the route that answered, `unmatched` where there was none."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


class _LedgerCollector(Collector):
    def __init__(self, ledger: Ledger, alive_within_s: float) -> None:
        self._ledger = ledger
        self._alive_within_s = alive_within_s

    def collect(self) -> Iterator[Metric]:
        found = self._ledger.figures(alive_within_s=self._alive_within_s)
        jobs = GaugeMetricFamily("sterna_jobs", "Jobs by state.", labels=["state"])
        for state in JOB_STATES:
            jobs.add_metric([state], found.jobs.get(state, 0))
        yield jobs
        ended = GaugeMetricFamily("sterna_jobs_ended_last_hour", "Jobs that ended lately, by state.", labels=["state"])
        for state in sorted(TERMINAL_STATES):
            ended.add_metric([state], found.ended.get(state, 0))
        yield ended
        failures = GaugeMetricFamily(
            "sterna_job_failures_last_hour", "Jobs that failed lately, by the code of the error.", labels=["code"]
        )
        for code, count in sorted(found.failures.items()):
            failures.add_metric([code], count)
        yield failures
        yield _gauge(
            "sterna_queue_oldest_seconds", "How long the job that waits longest has waited.", found.oldest_queued_s
        )
        if found.since_claim_s is not None:
            yield _gauge("sterna_last_claim_age_seconds", "Since a worker last took a job.", found.since_claim_s)
        yield _gauge("sterna_workers_alive", "Workers that beat lately.", found.workers)
        yield _gauge("sterna_worker_slots", "Jobs that they take at once.", found.slots)
        yield _gauge("sterna_webhook_deliveries_pending", "News on their way to webhooks.", found.undelivered)

    def describe(self) -> Iterator[Metric]:
        """None: registering must not ask the database."""
        return iter(())


class _DiskCollector(Collector):
    """The disk of the data folder: everything of an embedded installation, else room for requests on their way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        disk = shutil.disk_usage(self._folder)
        yield _gauge("sterna_data_dir_size_bytes", "Of the disk that the data folder of the service is on.", disk.total)
        yield _gauge("sterna_data_dir_free_bytes", "Of those, free.", disk.free)

    def describe(self) -> Iterator[Metric]:
        """None: the folder may not be there yet."""
        return iter(())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
