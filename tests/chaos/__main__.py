"""`make chaos`: a storm over a hundred jobs, kills one by one, a long queue, a full disk; writes docs/reliability.md.

Ends with 1 where anything is not as it must be, and keeps the processes' logs then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.chaos.drain import run_drain
from tests.chaos.failover import run_failovers
from tests.chaos.full_disk import can_mount, run_full_disk
from tests.chaos.installation import Installation, Servers
from tests.chaos.page import TAKE_OVER_BAR_S, Figures, page
from tests.chaos.storm import DISTURBANCES, schedule
from tests.chaos.storm_run import run_storm

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Do everything and write the page."""
    options = _parser().parse_args()
    with Servers.started() as servers, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drained = run_drain(servers, folder, jobs=options.queue, most_s=1200) if options.queue else None
        print(drained, flush=True)
        failovers = []
        if options.kills:
            with Installation(servers, workers=2) as installation:
                failovers = run_failovers(installation, folder, rounds=options.kills, seed=options.seed)
        print(failovers, flush=True)
        full_disk = run_full_disk(folder / "full") if options.full_disk and can_mount() else None
        print(full_disk, flush=True)
        with Installation(servers, workers=3) as installation:
            try:
                storm = run_storm(
                    installation,
                    folder,
                    seed=options.seed,
                    jobs=options.jobs,
                    strikes=schedule(Random(f"schedule {options.seed}"), options.strikes),
                    least=len(DISTURBANCES),
                    pause_s=(options.pause_s / 2, options.pause_s * 3 / 2),
                )
            finally:
                if options.logs is not None:
                    _keep_logs(installation, options.logs)
        print(storm, flush=True)
    options.page.write_text(page(Figures(_command(options), storm, failovers, drained, full_disk)))
    late = [one for one in failovers if one.took_over_s > TAKE_OVER_BAR_S or not one.same]
    doubled = drained is not None and drained.starts != {1: drained.jobs}
    return 1 if storm.violations or late or doubled else 0


def _command(options: argparse.Namespace) -> str:
    """How to make the same figures again."""
    usual = _parser().parse_args([])
    names = ("seed", "jobs", "strikes", "pause_s", "kills", "queue")
    other = {name: getattr(options, name) for name in names if getattr(options, name) != getattr(usual, name)}
    told = [f"--{name.replace('_', '-')} {value}" for name, value in other.items()]
    return " ".join(("python -m tests.chaos", *told)) if told else "make chaos"


def _keep_logs(installation: Installation, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for process in (installation.service, *installation.workers):
        (folder / process.folder.name).write_text(process.log.read_text(errors="replace"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="What survives what.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=110)
    parser.add_argument("--strikes", type=int, default=200, help="at most so many disturbances (default: %(default)s)")
    parser.add_argument("--pause-s", type=float, default=4.0, help="between two, on average (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=5, help="of workers one by one (default: %(default)s)")
    parser.add_argument("--queue", type=int, default=2000, help="jobs of the long queue (default: %(default)s)")
    parser.add_argument("--full-disk", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--logs", type=Path, help="a folder for the logs of service and workers")
    parser.add_argument("--page", type=Path, default=PAGE)
    return parser


if __name__ == "__main__":
    sys.exit(main())
