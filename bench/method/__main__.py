"""Every method at every target on every bench network, over seeds: the figures of docs/bench-method.md.

    python -m bench.method [--quick] [--draw] [--costs]

Within an hour on two cores, two runs at a time with one thread each. What was interrupted goes on where it was, as long
as the code that it measures is the same. `--quick` takes the smallest network alone and leaves docs/ as it is; `--draw`
writes table and plot again from the outcomes of the last whole run; `--costs` measures time and memory anew before.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path

import torch
from rich.progress import track

from bench.method.compare import METHODS, STEERED, Outcome, run
from bench.method.cost import CostRatio, compare_cost
from bench.method.datasets import FOLDER
from bench.method.journal import Journal
from bench.method.report import Report, draw, table
from bench.method.train import TASKS, budgeted_steps, load_samples, load_trained
from sterna.method import classification, evaluate

TARGETS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
SEEDS = (0, 1, 2)
OUTCOMES = FOLDER / "method.json"
TABLE = Path("docs/bench-method.md")
PLOT = Path("docs/bench-method.svg")


def main() -> None:
    """Run, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--costs", action="store_true")
    options = parser.parse_args()
    if options.quick:
        print(table(whole_report(["digits-8x8"], cost_pairs=1)))
        return
    if options.draw or options.costs:
        report = Report.from_json(json.loads(OUTCOMES.read_text()))
        if options.costs:
            report = replace(report, costs=costs(TASKS, pairs=3))
    else:
        report = whole_report(list(TASKS), cost_pairs=3)
    OUTCOMES.write_text(json.dumps(asdict(report)))
    TABLE.write_text(table(report))
    draw(report, PLOT)
    print(f"{TABLE} and {PLOT} are written.")


def whole_report(tasks: list[str], *, cost_pairs: int) -> Report:
    """Train what is not trained yet, then measure everything on these tasks."""
    full_precision = {}
    for task in track(tasks, description="networks"):
        full_precision[task] = evaluate(load_trained(task), load_samples(task)[1], classification())
    return Report(
        full_precision=full_precision,
        costs=costs(tasks, pairs=cost_pairs),
        outcomes=outcomes(tasks),
        machine=f"{os.cpu_count()} cores {platform.machine()}, torch {torch.__version__}",
    )


def outcomes(tasks: Iterable[str]) -> list[Outcome]:
    """Every method, two at a time, the long ones first."""
    runs = [
        (task, method, target, seed)
        for method, task, seed in product(METHODS, reversed(list(tasks)), SEEDS)
        for target in (TARGETS if method in STEERED else (None,))
    ]
    journal = Journal(FOLDER / "outcomes.jsonl")
    left = [arguments for arguments in runs if arguments not in journal]
    # Spawned, and told before they import torch: a fork of a process that has used torch's threads hangs.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = as_completed([pool.submit(run, *arguments) for arguments in left])
        for future in track(done, total=len(left), description="runs"):
            journal.add(future.result())
    return [journal[arguments] for arguments in runs]


def costs(tasks: Iterable[str], *, pairs: int) -> list[CostRatio]:
    """Time and memory beside plain fine-tuning of as many steps, those of the budget, with nothing else running."""
    return [compare_cost(task, budgeted_steps(task), pairs) for task in track(list(tasks), description="cost")]


if __name__ == "__main__":
    main()
