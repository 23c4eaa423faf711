"""A job: what is asked for (`JobSpec`), how it stands (`Job`) and what came out (`Result`)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from api_schemas.answers import OrNewer, is_answer

JobState = Annotated[Literal["queued", "running", "succeeded", "failed", "cancelled"], OrNewer()]
Phase = Annotated[Literal["validating", "baseline", "search", "recover", "pack", "export"], OrNewer()]
JOB_STATES: tuple[str, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
TERMINAL_STATES: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})

Export = Annotated[Literal["onnx", "gguf", "safetensors", "pt2"], OrNewer()]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f]*$")]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]*$")]
UploadId = Annotated[str, StringConstraints(pattern=r"^upl_[0-9a-f]{32}$")]
Sandbox = Annotated[Literal["bubblewrap", "limits"], OrNewer()]
"""What held a job's process: its own namespaces, file system and no network, or resource limits alone."""


class Wire(BaseModel):
    """Root of what clients send: unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Search(Wire):
    """How α is found: `track` steers it in one run, `trials` brackets it over several, `fixed` takes it as given.

    `trials` with an α is one trial: trained with that α, then landed on the target.
    """

    strategy: Annotated[Literal["track", "trials", "fixed"], OrNewer()] = "track"
    alpha: float | None = Field(
        default=None, gt=0, lt=2, description="Strategy `fixed` needs it, `trials` may have it."
    )

    @model_validator(mode="after")
    def _alpha_goes_with_its_strategies(self, info: ValidationInfo) -> Self:
        if is_answer(info):
            return self
        if self.strategy == "fixed" and self.alpha is None:
            raise ValueError("strategy 'fixed' needs an alpha")
        if self.strategy == "track" and self.alpha is not None:
            raise ValueError("alpha is given only with strategy 'fixed' or 'trials'")
        return self


class Budget(Wire):
    """How much training is allowed. Both may be given: what ends first ends it."""

    epochs: float | None = Field(default=None, gt=0, le=10_000)
    seconds: float | None = Field(default=None, gt=0, le=604_800)


class Acceptance(Wire):
    """How much the metric may lose, and what to do when it loses more."""

    max_drop: float | None = Field(default=None, ge=0, le=1e9, description="In the metric's unit; accuracy is 0 to 1.")
    on_miss: Annotated[Literal["fail", "best_effort"], OrNewer()] = "best_effort"


class CompressOptions(Wire):
    """How to compress, but for the target."""

    tolerance: float = Field(default=0.0005, ge=0, lt=0.5)
    granularity: Annotated[Literal["global", "layer"], OrNewer()] = "global"
    exclude: tuple[Glob, ...] = Field(default=(), max_length=256)
    objective: Annotated[Literal["auto", "classification", "regression", "distillation"], OrNewer()] = "auto"
    method: Annotated[Literal["sca", "ste"], OrNewer()] = "sca"
    search: Search = Search()
    budget: Budget = Budget()
    acceptance: Acceptance = Acceptance()
    exports: tuple[Export, ...] = Field(default=(), max_length=4)
    seed: int = Field(default=0, ge=0, lt=2**32)


class CompressSpec(CompressOptions):
    """What is asked of a compression, wherever the files come from."""

    target_sparsity: float = Field(gt=0, lt=1, description="Share of zeros among the ternarised weights.")


class Submission(Wire):
    """What a job has besides: its files, its labels, its time."""

    model: UploadId
    data: UploadId | None = None
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict, max_length=64)
    time_limit_s: float | None = Field(
        default=None,
        gt=0,
        le=691_200,
        description="The longest that one attempt may run; time in the queue does not count. The service has its own.",
    )


_EXAMPLE_ID = "upl_3f2b8c1d9e7a4f60b5c4d3e2f1a09876"


class JobSpec(CompressSpec, Submission):
    """What `POST /v1/jobs` takes. Only `model` and `target_sparsity` are required."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": _EXAMPLE_ID, "target_sparsity": 0.9, "acceptance": {"max_drop": 0.01, "on_miss": "fail"}}
            ]
        }
    )


class Progress(BaseModel):
    """How far a job is."""

    fraction: float = 0.0
    step: int = 0
    steps: int | None = None
    eta_s: float | None = None


class Latest(BaseModel):
    """The newest progress point's figures, and the metric that was measured last."""

    model_config = ConfigDict(populate_by_name=True)

    loss: float | None = None
    sparsity: float | None = None
    alpha: float | None = None
    lambda_: float | None = Field(default=None, alias="lambda")
    metric: float | None = None


class Finite(BaseModel):
    """Root of what a result is made of: NaN and infinity are no figures that can be reported, and no JSON."""

    model_config = ConfigDict(allow_inf_nan=False)


class Metric(Finite):
    """The held-out metric before and after. `drop` is positive when the ternary network is worse."""

    name: Annotated[Literal["accuracy", "mse", "agreement"], OrNewer()]
    baseline: float
    ternary: float
    drop: float


class WeightHistogram(Finite):
    """The weights of one layer before and after, counted over the same bins of equal width from `low` to `high`.

    What lies beyond is counted in the outermost bins. `negative` and `positive` are the shares of −s and +s.
    """

    low: float
    high: float
    before: tuple[int, ...] = Field(max_length=64)
    after: tuple[int, ...] = Field(max_length=64)
    negative: float
    positive: float


class LayerReport(Finite):
    """One ternarised tensor, counted in the packed artifact.

    `packed_bytes` is the size of its codes in the file. `histogram` is there for the 128 largest layers, and not in
    lists of jobs. Results of older versions have neither.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    sparsity: float
    scale_shape: tuple[int, ...]
    packed_bytes: int | None = None
    histogram: WeightHistogram | None = None


class Measured(Finite):
    """The held-out metric of one file, measured in the runtime that the file is for."""

    name: Annotated[Literal["accuracy", "mse", "agreement"], OrNewer()]
    value: float
    runtime: str
    version: str


class ArtifactRef(BaseModel):
    """One file to download."""

    name: str
    sha256: str
    bytes: int
    media_type: str
    url: str | None = None
    measured: Measured | None = None


class TrialReport(Finite):
    """An α that was tried, and the sparsity that it alone gave, before the landing on the target."""

    alpha: float
    sparsity: float


class Result(Finite):
    """What came out. `sparsity` is the share of zeros among the ternarised weights, counted in the packed artifact.

    `entropy_bits_per_weight` is that of the overall sparsity: a yardstick, and no bound where layers differ.
    `agreement` is with the original network, on held-out samples: the share of equal classes where it gives logits, the
    share of its outputs' variance that is explained (R²) where it gives anything else.
    """

    target_sparsity: float
    sparsity: float
    alpha: float | None
    target_met: bool
    metric: Metric | None
    agreement: float | None = None
    bits_per_weight: float
    entropy_bits_per_weight: float
    model_bytes: int
    artifact_bytes: int
    ratio: float
    steps: int
    seconds: float
    warnings: tuple[str, ...] = ()
    trials: tuple[TrialReport, ...] = Field(default=(), max_length=64, description="Of strategy `trials`, in order.")
    layers: tuple[LayerReport, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()


class JobErrorInfo(BaseModel):
    """Why a job failed: a stable code, what was found, what to do."""

    code: str
    message: str
    hint: str = ""


class Job(BaseModel):
    """How a job stands. Clients treat states and phases that they do not know as not final.

    `sandbox` is what is in force around the newest attempt that a worker took; null before the first.
    """

    id: str
    state: JobState
    phase: Phase | None = None
    attempt: int
    sandbox: Sandbox | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    spec: JobSpec
    labels: dict[str, str]
    sweep_id: str | None = None
    progress: Progress
    latest: Latest
    result: Result | None = None
    error: JobErrorInfo | None = None


class JobList(BaseModel):
    """A page of jobs, newest first; an empty `next_page_token` ends the list."""

    jobs: tuple[Job, ...]
    next_page_token: str = ""


class ArtifactList(BaseModel):
    """The files of a finished job."""

    artifacts: tuple[ArtifactRef, ...]
