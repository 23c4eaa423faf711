"""Table and plot of the comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.method.compare import METHODS, STEERED, Outcome
from bench.method.cost import CostRatio

GAIN_BAR = {0.9: 0.005, 0.95: 0.005}
"""How far `sca` has to be above `ste`, by target; elsewhere it may be a tenth of a point below."""

TIE_BAR = -0.001

COLOURS = {
    "sca": "#0072b2",
    "ste": "#d55e00",
    "paper": "#009e73",
    "rounding": "#7f7f7f",
    "twn": "#cc79a7",
    "ttq": "#b8860b",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured in one run.

    Attributes:
        full_precision: held-out accuracy of each trained network.
        machine: what it ran on.
    """

    full_precision: dict[str, float]
    costs: Sequence[CostRatio]
    outcomes: Sequence[Outcome]
    machine: str

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Report:
        """Back from what `dataclasses.asdict` gave."""
        costs = [CostRatio(**row) for row in fields["costs"]]
        return cls(**{**fields, "costs": costs, "outcomes": [Outcome(**row) for row in fields["outcomes"]]})

    def accuracies(self, task: str, method: str, target: float | None) -> list[float]:
        """Of every seed."""
        return [o.accuracy for o in self.outcomes if (o.task, o.method, o.target) == (task, method, target)]

    @property
    def targets(self) -> list[float]:
        """What was asked for, rising."""
        return sorted({o.target for o in self.outcomes if o.target is not None})


def table(report: Report) -> str:
    """The page, in Markdown."""
    steered = [o for o in report.outcomes if o.target is not None]
    farthest = max(abs(o.sparsity - o.target) for o in steered if o.target is not None)
    seeds = len({o.seed for o in report.outcomes})
    sections = [
        "# The method against others",
        f"Written by `make bench-method` ({report.machine}): {len(report.outcomes)} runs of one thread each, "
        f"{sum(o.seconds for o in report.outcomes) / 60:.0f} minutes in all, two at a time.",
        f"Held-out accuracy of the *packed* network in percent: mean of {seeds} seeds (range). All methods start from "
        "the same trained network and have the same batches and steps; what they are is in [method.md](method.md).",
        "![accuracy against sparsity](bench-method.svg)",
        f"Greatest |sparsity − target| of {len(steered)} runs with a target, counted in the packed codes: "
        f"{farthest:.6f}.",
        *(_task_section(report, task) for task in report.full_precision),
        _cost_section(report.costs),
    ]
    return "\n\n".join(sections) + "\n"


def draw(report: Report, path: Path) -> None:
    """Accuracy against sparsity, one panel for each task."""
    # Fixed ids and no date: the same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "sterna", "font.size": 9}):
        figure = Figure(figsize=(10, 7), layout="constrained")
        panels = figure.subplots(2, 2).flat
        for panel, (task, full_precision) in zip(panels, report.full_precision.items(), strict=False):
            panel.axhline(100 * full_precision, color="black", linestyle=":", linewidth=1, label="full precision")
            for method in METHODS:
                points = _points(report, task, method)
                middle = [100 * mean(accuracies) for _, accuracies in points]
                panel.errorbar(
                    [100 * sparsity for sparsity, _ in points],
                    middle,
                    [
                        [m - 100 * min(accuracies) for m, (_, accuracies) in zip(middle, points, strict=True)],
                        [100 * max(accuracies) - m for m, (_, accuracies) in zip(middle, points, strict=True)],
                    ],
                    color=COLOURS[method],
                    label=method,
                    marker="o",
                    markersize=3,
                    linewidth=1.2,
                    capsize=2,
                )
            worst = min(min(report.accuracies(task, m, t)) for m in ("sca", "ste") for t in report.targets)
            room = 1.3 * (100 * full_precision - 100 * worst)
            panel.set(title=task, ylim=(100 * full_precision - room, 100 * full_precision + 0.15 * room))
            panel.set(xlabel="zeros, %", ylabel="held-out accuracy, %")
            panel.grid(alpha=0.3)
        next(iter(figure.axes)).legend(loc="lower left")
        figure.savefig(path, metadata={"Date": None})


def _points(report: Report, task: str, method: str) -> list[tuple[float, list[float]]]:
    if method in STEERED:
        return [(target, report.accuracies(task, method, target)) for target in report.targets]
    reached = [o.sparsity for o in report.outcomes if (o.task, o.method) == (task, method)]
    return [(mean(reached), report.accuracies(task, method, None))]


def _task_section(report: Report, task: str) -> str:
    lines = [
        f"## {task}: {100 * report.full_precision[task]:.2f} in full precision",
        "",
        f"| method | {' | '.join(f'{100 * t:g} % zeros' for t in report.targets)} |",
        _rule(len(report.targets)),
        *(_row(f"`{m}`", (_spread(report.accuracies(task, m, t)) for t in report.targets)) for m in STEERED),
        _row("`sca` − `ste`", (_gain(report, task, t) for t in report.targets)),
        "",
    ]
    for method in METHODS:
        if method not in STEERED:
            [(sparsity, accuracies)] = _points(report, task, method)
            lines.append(
                f"`{method}`, whose zeros come out as they may: {_spread(accuracies)} at {100 * sparsity:.1f} %."
            )
    return "\n".join(lines)


def _gain(report: Report, task: str, target: float) -> str:
    gain = mean(report.accuracies(task, "sca", target)) - mean(report.accuracies(task, "ste", target))
    bar = GAIN_BAR.get(target, TIE_BAR if target <= 0.7 else None)  # nothing is asked of 80 %
    verdict = "" if bar is None or gain >= bar - 1e-9 else " **missed**"
    return f"{100 * gain:+.2f}{verdict}"


def _cost_section(costs: Sequence[CostRatio]) -> str:
    lines = [
        "## Cost",
        "",
        "`sca` and plain fine-tuning with Adam for the budgeted steps, in turn, each in a fresh process; landing, "
        "recovery and renewal of the running statistics included. Time is the processor's, of one thread: on an idle "
        "machine, the time that passes. Memory is the peak of the process, torch and data included.",
        "",
        "| network | steps | plain, ms per step | `sca` | time | memory | more, MiB |",
        _rule(6),
    ]
    for cost in costs:
        cells = (
            f"{cost.steps}",
            f"{cost.plain_ms_per_step:.2f}",
            f"{cost.sca_ms_per_step:.2f}",
            f"{cost.time:.2f}×",
            f"{cost.memory:.2f}×",
            f"{cost.more_bytes / 2**20:.0f}",
        )
        lines.append(_row(cost.task, cells))
    return "\n".join(lines)


def _spread(accuracies: Sequence[float]) -> str:
    low, high = min(accuracies), max(accuracies)
    return f"{100 * mean(accuracies):.2f} ({100 * low:.2f}–{100 * high:.2f})"


def _row(first: str, cells: Iterable[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * (columns + 1) + "|"
