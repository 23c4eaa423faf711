"""docs/reliability.md, from the figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.chaos.drain import SLOTS, Drained
from tests.chaos.failover import Failover
from tests.chaos.full_disk import FullDisk
from tests.chaos.installation import CHECKPOINT_S, LEASE_S
from tests.chaos.storm import DISTURBANCES
from tests.chaos.storm_run import Outcome

TAKE_OVER_BAR_S = LEASE_S + 10


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was measured; None: this was not run."""

    command: str
    storm: Outcome
    failovers: Sequence[Failover]
    drained: Drained | None
    full_disk: FullDisk | None


def page(figures: Figures) -> str:
    """The page."""
    storm = figures.storm
    parts = [
        "# What survives what",
        _opening(figures),
        _storm(storm),
        _failovers(figures.failovers, storm),
        _drained(figures.drained),
        _full_disk(figures.full_disk),
        _MEANS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(figures: Figures) -> str:
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    return f"""Made by `{figures.command}` on {machine}, load of the machine {os.getloadavg()[1]:.1f} at the end.
The installation is PostgreSQL, Valkey (for Redis), SeaweedFS (for S3), a service and three workers, each a process,
chosen by the three addresses alone; jobs come over HTTP from three clients. Leases are {LEASE_S:g} s, checkpoints are
written every {CHECKPOINT_S:g} s. `make test` runs a short form."""


def _storm(storm: Outcome) -> str:
    verdict = "none" if not storm.violations else f"**{len(storm.violations)}**: " + "; ".join(storm.violations[:5])
    rows = [
        ("jobs accepted over HTTP", f"{storm.accepted}, and {storm.undisturbed} before the storm to compare with"),
        ("how these ended", _counted(storm.outcomes)),
        ("lost, doubled, in no or two final states, stuck leases, orphan blobs, other bytes", verdict),
        ("attempts that jobs needed", ", ".join(f"{n}: {jobs} jobs" for n, jobs in sorted(storm.attempts.items()))),
        ("cancels and stops that were granted", _counted(storm.granted)),
        ("requests that clients sent again by themselves", _counted(storm.repeated) or "none"),
        ("submissions without an answer within the client's patience of 30 s", str(storm.unanswered)),
        ("blobs that nothing referred to, removed at the end", str(storm.removed)),
        ("processes that ended by themselves and were started again", _counted(storm.found_dead) or "none"),
        ("time", f"{storm.seconds:.0f} s"),
    ]
    hurt = [(name, _described(name), str(storm.disturbances.get(name, 0))) for name in DISTURBANCES]
    return "\n\n".join(
        (
            f"## The storm (seed {storm.seed})",
            _table(("disturbance", "is", "times"), hurt),
            _table(("what", "found"), rows),
        )
    )


def _failovers(failovers: Sequence[Failover], storm: Outcome) -> str:
    rows = []
    if failovers:
        took = [one.took_over_s for one in failovers]
        again = [one.repeated_s for one in failovers]
        steps = [max(0, one.step - one.resumed_step) for one in failovers]
        same = sum(one.same for one in failovers)
        rows += [
            (
                f"kill −9 of a job's host with a worker idle, {len(failovers)} times: until it runs elsewhere",
                f"median {median(took):.1f} s, most {max(took):.1f} s",
                f"{TAKE_OVER_BAR_S:g} s",
            ),
            (
                "training that the next attempt repeats, at most",
                f"median {median(again):.1f} s, most {max(again):.1f} s",
                f"{CHECKPOINT_S:g} s and the time to store one",
            ),
            (
                "the same in steps, of those that the ledger knew of",
                f"median {median(steps):.0f}, most {max(steps)}",
                "",
            ),
            ("artifact is that of the undisturbed job, byte for byte", f"{same} of {len(failovers)}", "all"),
        ]
    if storm.took_over_s:
        took = storm.took_over_s
        rows.append(
            (
                f"in the storm, with other disturbances and busy workers: {len(took)} jobs of killed workers",
                f"median {median(took):.1f} s, most {max(took):.1f} s",
                "",
            )
        )
    return "" if not rows else "## A worker is killed\n\n" + _table(("what", "measured", "bar"), rows)


def _drained(drained: Drained | None) -> str:
    if drained is None:
        return ""
    once = drained.starts.get(1, 0)
    rows = [
        ("jobs queued, succeeded", f"{drained.jobs}, {drained.succeeded}"),
        ("started exactly once", f"{once} of {drained.jobs}"),
        (
            "from the first claim to the last end",
            f"{drained.seconds:.1f} s, {drained.jobs / drained.seconds:.0f} jobs/s",
        ),
    ]
    about = f"Two workers of {SLOTS} slots, a method that does nothing, each job still a process of its own."
    return f"## A long queue\n\n{about}\n\n{_table(('what', 'measured'), rows)}"


def _full_disk(full: FullDisk | None) -> str:
    if full is None:
        return ""
    refusals = ", ".join(f"{status} `{code}`" for status, code in full.refusals)
    rows = [
        ("a form with new files; a part of an upload", refusals),
        ("a job that ends on a full disk which has room again after some seconds", full.patient),
        ("a job that ends on a full disk until its worker's patience is over", " ".join(full.impatient)),
        ("the next job, with room again", full.afterwards),
        (
            "files left half-written; with bytes that are not their digest's",
            f"{len(full.leftovers)}; {len(full.damaged)}",
        ),
    ]
    return "## The disk of the blob store is full\n\n" + _table(("what", "what came of it"), rows)


_MEANS = """## What is looked at

After the storm the ledger's tables and the store are read directly (`tests/chaos/invariants.py`). Each submission that
was answered is one job, each job is one that somebody submitted. Its state is final, its events have no gap and end it
once, no attempt starts while another runs, no step is told after a later one, and nothing is written between two
attempts, as a worker that was frozen and comes back might do. It has no lease. One that succeeded holds one artifact,
with the bytes of the undisturbed job of the same spec; one that did not holds none. A cancel that was granted ends in
`cancelled`. A job may fail only where its own runner was killed: signal 9 is what the kernel does when memory is short,
so it is not tried again by itself. Every blob that is referred to is there with the right digest, and after collection
no other is.

The wrong clock is that of Python's `time` module in that worker: the ledger asks only the database for the time."""


def _described(name: str) -> str:
    text = DISTURBANCES[name].__doc__
    assert text is not None
    return text.strip().partition("\n")[0]


def _counted(counts: Mapping[str, int] | Mapping[int, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: str(item[0]))
    return ", ".join(f"{count} × {what}" for what, count in ordered)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
