"""Compress one model file. The command line and the worker's runner both call this and nothing else.

The way of a job: read safely → baseline metric → fine-tune with α controlled → land exactly on the target → recover →
pack → read the artifact back and measure *that*. Every figure of the report about the result is taken from the packed
file.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from api_schemas import ArtifactRef, CompressSpec, Measured, Metric, ProgressPoint, Result
from api_schemas.events import Message, PhaseChange
from api_schemas.jobs import Phase, TrialReport
from sterna.artifact import Artifact, ArtifactContents, TernaryTensor, replace_report, write_artifact
from sterna.compress.bundle import runnable
from sterna.compress.checkpoints import (
    Checkpointing,
    Course,
    Keeper,
    Machine,
    Resumption,
    find_resumption,
    inputs_digest,
)
from sterna.compress.device import choose_device
from sterna.compress.exports import Exporter
from sterna.compress.findings import Finding, look_at_codes, look_at_weights
from sterna.compress.network_errors import network_errors
from sterna.compress.plan import (
    Plan,
    check_statistics,
    choose_objective,
    plan_steps,
    plan_validation,
    ternarise_config,
)
from sterna.compress.progress import Control, OnEvent, Reporter
from sterna.compress.report import describe, file_reference, manifest_report
from sterna.compress.samples import TrainingData, load_samples
from sterna.errors import (
    AcceptanceMissed,
    Cancelled,
    CheckpointRejected,
    ExportUnsupported,
    ModelDoesNotRun,
    ModelTooLarge,
    TrainingDiverged,
)
from sterna.export import check_exports
from sterna.graph import Network
from sterna.intake import ModelInspection, network_bytes, read_checked
from sterna.method import (
    Task,
    Ternarised,
    TernaryLayer,
    agreement,
    evaluate,
    ternarise,
)
from sterna.method.ternarise import Checkpoint
from sterna.module import build_module, load_module, tensors_of
from sterna.target import wanted_zeros

ARTIFACT_NAME = "model.sterna"
FEW_SAMPLES = 64
MOST_SYNTHESIS_S = 300.0
ARTIFACT_MEDIA_TYPE = "application/vnd.sterna.ternary+safetensors"


def compress(  # noqa: PLR0913  one verb: two files, what is asked, where to, two callbacks, checkpoints
    model_path: Path,
    data_path: Path | None,
    spec: CompressSpec,
    out_dir: Path,
    *,
    on_event: OnEvent = lambda _: None,
    control: Control = lambda: "continue",
    checkpointing: Checkpointing | None = None,
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
        checkpointing: where to keep the training's state, and where to go on from; a checkpoint that is not of this
            compression is told (`CHECKPOINT_REJECTED`) and the work begins anew.

    Returns:
        The report; its artifacts have no address.

    Raises:
        InputError: the model or the data cannot be used.
        InvalidSpec, TargetUnreachable: what is asked for does not exist.
        TrainingDiverged, Cancelled: the work ended without a result.
        AcceptanceMissed: the metric lost more than `acceptance.max_drop` and `on_miss` is `fail`.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    job = _Job(model_path, data_path, spec, out_dir, on_event, control, checkpointing)
    if checkpointing is None or checkpointing.resume is None:
        return job.run()
    try:
        job.go_on_from(checkpointing.resume)
        return job.run()
    except CheckpointRejected as error:
        on_event(Message(code=error.code, text=f"the work begins anew: {error.detail}"))
    return _Job(model_path, data_path, spec, out_dir, on_event, control, checkpointing).run()


@dataclass
class _Job:
    """One compression: what all of its stages need."""

    model_path: Path
    data_path: Path | None
    spec: CompressSpec
    out_dir: Path
    on_event: OnEvent
    control: Control
    checkpointing: Checkpointing | None = None
    resumed: Resumption | None = None
    device: torch.device = field(default_factory=choose_device)
    started: float = field(default_factory=time.monotonic)
    synthesis_steps: int = 0
    warnings: list[str] = field(default_factory=list)

    def go_on_from(self, checkpoint: Path) -> None:
        """Take up what a checkpoint of the same inputs holds.

        Raises:
            CheckpointRejected: it is none.
        """
        self.resumed = find_resumption(checkpoint, self.inputs)
        self.started -= self.resumed.course.elapsed_s

    def run(self) -> Result:
        """The way of a job."""
        network, inspection, data = self.validate()
        with network_errors():
            module, plan, baseline = self.measure_baseline(network, data)
            landed = self.train(module, inspection, data, plan)
            self.pack(network, module, landed, plan, baseline)
            return self.report(network, data, landed, plan, baseline)

    @cached_property
    def inputs(self) -> str:
        """Digest of all that decides what comes out."""
        return inputs_digest(self.model_path, self.data_path, self.spec)

    @property
    def artifact_path(self) -> Path:
        return self.out_dir / ARTIFACT_NAME

    def validate(self) -> tuple[Network, ModelInspection, TrainingData]:
        """Everything that can be refused before anything runs."""
        self._enter("validating")
        with runnable(self.model_path) as path:
            return self._check(path)

    def _check(self, model_path: Path) -> tuple[Network, ModelInspection, TrainingData]:
        checked = read_checked(model_path, self.data_path, self.spec.exclude, objective=self.spec.objective)
        network, inspection = checked.network, checked.inspection
        check_exports(self.spec.exports, network.graph)
        if self.spec.search.strategy != "fixed":
            wanted_zeros(inspection.ternarisable_weights, self.spec.target_sparsity, self.spec.tolerance)
        if checked.data is None:
            self._warn("NO_DATA", "no data was given: inputs are synthesised and no accuracy is promised")
        return network, inspection, load_samples(network.graph, checked.data, seed=self.spec.seed).on(self.device)

    def measure_baseline(self, network: Network, data: TrainingData) -> tuple[nn.Module, Plan, float]:
        """Run the original network: does it run, what is its output like, how good is it."""
        self._enter("baseline")
        module = build_module(network).to(self.device)
        objective = choose_objective(module, data, self.spec.objective)
        check_statistics(module, data)
        if data.synthetic:
            self._familiarise(module, data)
        timed = None if self.resumed is None else self.resumed.course.steps
        plan = plan_steps(module, data, objective, self.spec.budget, timed=timed)
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
        step = 0 if self.resumed is None else min(self.resumed.state.step, plan.steps)
        self.on_event(ProgressPoint(step=step, steps=plan.steps, metric=baseline, metric_name=plan.objective.metric))
        return module, plan, baseline

    def _familiarise(self, module: nn.Module, data: TrainingData) -> None:
        """Make noise look like data: for a fifth of the budget or `MOST_SYNTHESIS_S`, or as many steps as at first."""
        budget_s = self.spec.budget.seconds
        ends = time.monotonic() + (MOST_SYNTHESIS_S if budget_s is None else 0.2 * budget_s)

        def go_on() -> bool:
            if self.resumed is not None:
                more = self.synthesis_steps < self.resumed.course.synthesis_steps
            else:
                more = time.monotonic() < ends and self.control() == "continue"
            self.synthesis_steps += more
            return more

        data.familiarise(module, go_on)

    def train(self, module: nn.Module, inspection: ModelInspection, data: TrainingData, plan: Plan) -> Ternarised:
        """Ternarise the module in place."""
        self._enter("search")
        layers = [TernaryLayer(layer.name, layer.channel_axis) for layer in inspection.layers if layer.ternarisable]
        teacher = copy.deepcopy(module).eval().requires_grad_(requires_grad=False) if plan.objective.teacher else None
        config = ternarise_config(self.spec, plan.steps)
        self._warn_of(look_at_weights(module, layers))
        steps = config.steps * max(1, config.trials)
        validation = plan_validation(data.held_out, plan.objective, teacher, steps, seed=self.spec.seed)
        task = Task(data.train, plan.objective, teacher, seed=self.spec.seed, validation=validation)
        seconds = self.spec.budget.seconds
        search_s = None if seconds is None else seconds * config.landing_share
        course = None if self.resumed is None else self.resumed.course
        reporter = Reporter(self.on_event, self.control, plan.objective.metric, search_s, course)
        landed = ternarise(
            module,
            layers,
            task,
            config,
            on_step=reporter,
            checkpoint=self._keeper(plan, reporter),
            resume=None if self.resumed is None else self.resumed.state,
        )
        if landed.stopped:
            why = f"as its {seconds} seconds were used up" if reporter.out_of_time else "on request"
            code = "BUDGET_USED" if reporter.out_of_time else "STOPPED_EARLY"
            self._warn(code, f"finished after {landed.steps} of {plan.steps} steps, {why}")
        if landed.micro_batch is not None:
            whole = data.train.batch_size
            text = f"memory did not suffice for batches of {whole}: they were taken {landed.micro_batch} at a time"
            self._warn("MICRO_BATCHES", text)
        self._warn_of(look_at_codes(landed, self.spec))
        return landed

    def _keeper(self, plan: Plan, reporter: Reporter) -> Checkpoint:
        """What writes checkpoints; it asks for the digest of the inputs when it first does."""
        if self.checkpointing is None:
            return lambda _: None

        def course() -> Course:
            return Course(
                inputs=self.inputs,
                steps=plan.steps,
                synthesis_steps=self.synthesis_steps,
                elapsed_s=time.monotonic() - self.started,
                searched_s=reporter.searched_s,
                out_of_time=reporter.out_of_time,
                machine=Machine.here(self.device),
            )

        return Keeper(self.checkpointing, course, self.on_event, self.resumed)

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
        report["runtime"] = {
            "name": "torch",
            "version": str(torch.__version__),
            "device": self.device.type,
            "precision": landed.precision,
        }
        write_artifact(self.artifact_path, ArtifactContents(network.graph, ternary, dense, report))

    def report(self, network: Network, data: TrainingData, landed: Ternarised, plan: Plan, baseline: float) -> Result:
        """Read the artifact back, measure it, export it."""
        packed = load_module(self.artifact_path).to(self.device)
        original = build_module(network).eval().to(self.device)
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
        agreed = agreement(packed, original, data.held_out, logits=plan.objective.metric != "mse")
        files += self._export(self._exporter(data, plan, original))
        weights = {name: weight.detach().float().cpu().numpy() for name, weight in original.named_parameters()}
        result = describe(self.artifact_path, self.spec, network_bytes(self.model_path), landed.alpha, weights)
        if not result.target_met:
            self._warn("TARGET_MISSED", f"sparsity {result.sparsity:.6f} is not within the tolerance of the target")
        self.on_event(
            ProgressPoint(
                step=landed.steps,
                steps=landed.steps,
                sparsity=result.sparsity,
                alpha=landed.alpha,
                metric=ternary,
                metric_name=metric.name,
            )
        )
        return result.model_copy(
            update={
                "metric": metric,
                "agreement": agreed,
                "steps": landed.steps,
                "trials": tuple(TrialReport(alpha=one.alpha, sparsity=one.sparsity) for one in landed.trials),
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

    def _exporter(self, data: TrainingData, plan: Plan, original: nn.Module) -> Exporter:
        """Runtimes of exports compute on the processor, and so does what they are compared with."""
        processor = torch.device("cpu")
        return Exporter(self.artifact_path, data.on(processor).held_out, plan.objective, original.to(processor))

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

    def _warn_of(self, findings: Iterable[Finding]) -> None:
        for code, text in findings:
            self._warn(code, text)

    def _warn(self, code: str, text: str) -> None:
        self.warnings.append(code)
        self.on_event(Message(code=code, text=text))
