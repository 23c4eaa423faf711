"""Compress one model file. The command line and the worker's runner both call this and nothing else.

The way of a job: read safely → baseline metric → fine-tune with α controlled → land exactly on the target → recover →
pack → read the artifact back and measure *that*. Every figure of the report about the result is taken from the packed
file.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from api_schemas import ArtifactRef, CompressSpec, Measured, Metric, ProgressPoint, Result
from api_schemas.events import EventBody, Message, PhaseChange
from api_schemas.jobs import Phase
from sterna.artifact import Artifact, ArtifactContents, TernaryTensor, replace_report, write_artifact
from sterna.compress.bundle import runnable
from sterna.compress.exports import Exporter
from sterna.compress.plan import Plan, check_statistics, choose_objective, plan_steps
from sterna.compress.report import describe, file_reference, manifest_report
from sterna.compress.samples import TrainingData, load_samples
from sterna.errors import (
    AcceptanceMissed,
    Cancelled,
    ExportUnsupported,
    ModelDoesNotRun,
    ModelTooLarge,
    TrainingDiverged,
)
from sterna.export import check_exports
from sterna.graph import Network
from sterna.intake import ModelInspection, read_checked
from sterna.method import (
    Order,
    Point,
    Task,
    TernariseConfig,
    Ternarised,
    TernaryLayer,
    agreement,
    evaluate,
    ternarise,
)
from sterna.module import build_module, load_module, tensors_of
from sterna.target import wanted_zeros

ARTIFACT_NAME = "model.sterna"
MOST_TRIALS = 6
FEW_SAMPLES = 64
MOST_SYNTHESIS_S = 300.0
ARTIFACT_MEDIA_TYPE = "application/vnd.sterna.ternary+safetensors"

Control = Callable[[], Literal["continue", "stop", "cancel"]]
OnEvent = Callable[[EventBody], None]


def compress(  # noqa: PLR0913  one verb: two files, what is asked, where to, two callbacks
    model_path: Path,
    data_path: Path | None,
    spec: CompressSpec,
    out_dir: Path,
    *,
    on_event: OnEvent = lambda _: None,
    control: Control = lambda: "continue",
) -> Result:
    """Make the network of `model_path` ternary and write `out_dir/model.sterna` and the exports asked for.

    Args:
        model_path: a `.pt2` from stock `torch.export.save`.
        data_path: `.npz` or `.safetensors` with one array for each input and optionally `target`; None: inputs are
            synthesised and the result carries the warning `NO_DATA`.
        spec: what is asked for.
        out_dir: made where it is missing; files in it are overwritten.
        on_event: hears of phases, progress points and warnings, in order.
        control: asked between steps; `stop` finishes with what there is, `cancel` raises.

    Returns:
        The report; its artifacts have no address.

    Raises:
        InputError: the model or the data cannot be used.
        InvalidSpec, TargetUnreachable: what is asked for does not exist.
        TrainingDiverged, Cancelled: the work ended without a result.
        AcceptanceMissed: the metric lost more than `acceptance.max_drop` and `on_miss` is `fail`.
    """
    job = _Job(model_path, spec, out_dir, on_event, control)
    out_dir.mkdir(parents=True, exist_ok=True)
    network, inspection, data = job.validate(data_path)
    module, plan, baseline = job.measure_baseline(network, data)
    landed = job.train(module, inspection, data, plan)
    job.pack(network, module, landed, plan, baseline)
    return job.report(network, data, landed, plan, baseline)


@dataclass
class _Job:
    """One compression: what all of its stages need."""

    model_path: Path
    spec: CompressSpec
    out_dir: Path
    on_event: OnEvent
    control: Control
    started: float = field(default_factory=time.monotonic)
    warnings: list[str] = field(default_factory=list)

    @property
    def artifact_path(self) -> Path:
        return self.out_dir / ARTIFACT_NAME

    def validate(self, data_path: Path | None) -> tuple[Network, ModelInspection, TrainingData]:
        """Everything that can be refused before anything runs."""
        self._enter("validating")
        with runnable(self.model_path) as path:
            return self._check(path, data_path)

    def _check(self, model_path: Path, data_path: Path | None) -> tuple[Network, ModelInspection, TrainingData]:
        checked = read_checked(model_path, data_path, self.spec.exclude, objective=self.spec.objective)
        network, inspection = checked.network, checked.inspection
        check_exports(self.spec.exports, network.graph)
        if self.spec.search.alpha is None:
            wanted_zeros(inspection.ternarisable_weights, self.spec.target_sparsity, self.spec.tolerance)
        if checked.data is None:
            self._warn("NO_DATA", "no data was given: inputs are synthesised and no accuracy is promised")
        return network, inspection, load_samples(network.graph, checked.data, seed=self.spec.seed)

    def measure_baseline(self, network: Network, data: TrainingData) -> tuple[nn.Module, Plan, float]:
        """Run the original network: does it run, what is its output like, how good is it."""
        self._enter("baseline")
        module = build_module(network)
        objective = choose_objective(module, data, self.spec.objective)
        check_statistics(module, data)
        if data.synthetic:
            self._familiarise(module, data)
        plan = plan_steps(module, data, objective, self.spec.budget)
        if data.train.size < FEW_SAMPLES:
            self._warn(
                "FEW_SAMPLES", f"{data.train.size} training samples are few: the network may learn them by heart"
            )
        if plan.small:
            self._warn("SMALL_BUDGET", f"{plan.steps} steps are few: weights may not move far enough")
        baseline = evaluate(module, data.held_out, objective, teacher=module)
        if not math.isfinite(baseline):
            raise ModelDoesNotRun(
                f"the {objective.metric} of the original network on the held-out data is {baseline}",
                hint="Look for extreme values late in the data, and scale inputs and target as they were in training.",
            )
        return module, plan, baseline

    def _familiarise(self, module: nn.Module, data: TrainingData) -> None:
        """Make noise look like data, for a fifth of the budget or `MOST_SYNTHESIS_S`."""
        budget_s = self.spec.budget.seconds
        ends = time.monotonic() + (MOST_SYNTHESIS_S if budget_s is None else 0.2 * budget_s)
        data.familiarise(module, lambda: time.monotonic() < ends and self.control() == "continue")

    def train(self, module: nn.Module, inspection: ModelInspection, data: TrainingData, plan: Plan) -> Ternarised:
        """Ternarise the module in place."""
        self._enter("search")
        layers = [TernaryLayer(layer.name, layer.channel_axis) for layer in inspection.layers if layer.ternarisable]
        teacher = copy.deepcopy(module).eval().requires_grad_(requires_grad=False) if plan.objective.teacher else None
        config = self._config(plan)
        self._look_at_weights(module, layers)
        task = Task(data.train, plan.objective, teacher, seed=self.spec.seed)
        seconds = self.spec.budget.seconds
        search_s = None if seconds is None else seconds * config.landing_share
        reporter = _Reporter(self.on_event, self.control, search_s)
        landed = ternarise(module, layers, task, config, on_step=reporter)
        if landed.stopped:
            why = f"as its {seconds} seconds were used up" if reporter.out_of_time else "on request"
            code = "BUDGET_USED" if reporter.out_of_time else "STOPPED_EARLY"
            self._warn(code, f"finished after {landed.steps} of {plan.steps} steps, {why}")
        self._look_at_codes(landed)
        return landed

    def _config(self, plan: Plan) -> TernariseConfig:
        """What is asked for, in the method's own terms. With α fixed it is the paper's training: no estimator."""
        strategy = self.spec.search.strategy
        trials = MOST_TRIALS if strategy == "trials" else 0
        return TernariseConfig(
            target_sparsity=self.spec.target_sparsity,
            steps=max(2, plan.steps // max(1, trials)),
            granularity=self.spec.granularity,
            method=self.spec.method,
            alpha=self.spec.search.alpha,
            trials=trials,
            tolerance=self.spec.tolerance,
            gradient="straight-through" if strategy == "track" else "exact",
        )

    def _look_at_weights(self, module: nn.Module, layers: list[TernaryLayer]) -> None:
        parameters = dict(module.named_parameters())
        empty = [layer.name for layer in layers if not bool(parameters[layer.name].any())]
        if empty:
            self._warn("ZERO_WEIGHTS", f"all weights are zero in the model as it came: {', '.join(empty)}")

    def _look_at_codes(self, landed: Ternarised) -> None:
        """Say where a layer has lost everything, or is not where each was to be."""
        shares = {name: float((codes == 0).float().mean()) for name, (codes, _) in landed.layers.items()}
        dead = [name for name, share in shares.items() if share == 1.0]
        if dead:
            self._warn("DEAD_LAYER", f"no weight is left in {', '.join(dead)}: exclude it, or ask for fewer zeros")
        if self.spec.granularity == "layer" and self.spec.search.alpha is None:
            target, tolerance = self.spec.target_sparsity, self.spec.tolerance
            off = {name: share for name, share in shares.items() if abs(share - target) > tolerance}
            if off:
                named = ", ".join(f"{name} ({share:.6f})" for name, share in off.items())
                self._warn("LAYER_OFF_TARGET", f"too few weights to be within {tolerance} of {target}: {named}")

    def pack(self, network: Network, module: nn.Module, landed: Ternarised, plan: Plan, baseline: float) -> None:
        """Write the artifact."""
        self._enter("pack")
        ternary = {
            name: TernaryTensor(codes.cpu().numpy(), scale.cpu().numpy())
            for name, (codes, scale) in landed.layers.items()
        }
        dense = {name: array for name, array in tensors_of(module, network.graph).items() if name not in ternary}
        report = manifest_report(self.model_path, self.spec, landed.alpha, landed.steps)
        report["baseline"] = {"name": plan.objective.metric, "value": baseline}
        report["runtime"] = {"name": "torch", "version": str(torch.__version__)}
        write_artifact(self.artifact_path, ArtifactContents(network.graph, ternary, dense, report))

    def report(self, network: Network, data: TrainingData, landed: Ternarised, plan: Plan, baseline: float) -> Result:
        """Read the artifact back, measure it, export it."""
        packed = load_module(self.artifact_path)
        original = build_module(network).eval()
        ternary = evaluate(packed, data.held_out, plan.objective, teacher=original)
        if not math.isfinite(ternary):
            raise TrainingDiverged(
                f"the {plan.objective.metric} of the packed network is {ternary}",
                hint="Ask for a lower sparsity, or check the scale of the data.",
            )
        metric = Metric(
            name=plan.objective.metric,
            baseline=baseline,
            ternary=ternary,
            drop=plan.objective.drop(baseline, ternary),
        )
        self._judge(metric)
        self._tell_metric(metric)
        measured = Measured(name=metric.name, value=ternary, runtime="torch", version=str(torch.__version__))
        files = [file_reference(self.artifact_path, ARTIFACT_MEDIA_TYPE, measured)]
        files += self._export(Exporter(self.artifact_path, data.held_out, plan.objective, original))
        result = describe(self.artifact_path, self.spec, self.model_path.stat().st_size, landed.alpha)
        if not result.target_met:
            self._warn("TARGET_MISSED", f"sparsity {result.sparsity:.6f} is not within the tolerance of the target")
        self.on_event(
            ProgressPoint(
                step=landed.steps,
                steps=landed.steps,
                sparsity=result.sparsity,
                alpha=landed.alpha,
                metric=ternary,
            )
        )
        return result.model_copy(
            update={
                "metric": metric,
                "agreement": agreement(packed, original, data.held_out, logits=plan.objective.metric != "mse"),
                "steps": landed.steps,
                "seconds": round(time.monotonic() - self.started, 3),
                "warnings": tuple(self.warnings),
                "artifacts": tuple(files),
            }
        )

    def _tell_metric(self, metric: Metric) -> None:
        """Add to the artifact's own report what could be measured only once it was written."""
        with Artifact.open(self.artifact_path) as artifact:
            report = dict(artifact.report)
        replace_report(self.artifact_path, report | {"metric": metric.model_dump()})

    def _export(self, exporter: Exporter) -> list[ArtifactRef]:
        """Write and measure the exports. One that fails is told and left out: the artifact is worth having."""
        if self.spec.exports:
            self._enter("export")
        files = []
        for name in dict.fromkeys(self.spec.exports):
            try:
                files.append(exporter.export(name, self.out_dir))
            except (ExportUnsupported, ModelTooLarge) as error:
                self._warn("EXPORT_FAILED", f"{name}: {error.detail}")
        return files

    def _judge(self, metric: Metric) -> None:
        limit = self.spec.acceptance.max_drop
        if limit is None or metric.drop <= limit:
            return
        sentence = f"{metric.name} went from {metric.baseline:.4f} to {metric.ternary:.4f}, a drop above {limit}"
        if self.spec.acceptance.on_miss == "fail":
            raise AcceptanceMissed(
                sentence,
                hint="Ask for a lower sparsity, give more epochs or more data, or allow a greater drop.",
            )
        self._warn("ACCEPTANCE_MISSED", sentence)

    def _enter(self, phase: Phase) -> None:
        if self.control() == "cancel":
            raise Cancelled("the job was cancelled")
        self.on_event(PhaseChange(phase=phase))

    def _warn(self, code: str, text: str) -> None:
        self.warnings.append(code)
        self.on_event(Message(code=code, text=text))


class _Reporter:
    """Turns steps into progress points, few enough to store, and asks what to do next.

    Args:
        on_event: hears of points and phases.
        control: whether to go on.
        search_s: the search is told to stop after so many seconds; None: never.
    """

    _interval_s = 0.25

    def __init__(self, on_event: OnEvent, control: Control, search_s: float | None) -> None:
        self._on_event, self._control = on_event, control
        self._search_ends = None if search_s is None else time.monotonic() + search_s
        self.out_of_time = False
        self._phase = "search"
        self._last = 0.0

    def __call__(self, point: Point) -> Order:
        if point.phase != self._phase:
            self._phase = point.phase
            self._on_event(PhaseChange(phase=point.phase))
        now = time.monotonic()
        if now - self._last >= self._interval_s or point.step == point.steps:
            self._last = now
            self._on_event(
                ProgressPoint(
                    step=point.step,
                    steps=point.steps,
                    loss=point.loss,
                    sparsity=point.sparsity,
                    alpha=point.alpha,
                    lambda_=point.strength,
                )
            )
        order = self._control()
        if (
            order == "continue"
            and point.phase == "search"
            and self._search_ends is not None
            and now > self._search_ends
        ):
            self.out_of_time = True
            return "stop"
        return order
