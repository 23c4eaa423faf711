"""Every error that Sterna raises on purpose, in one tree: one class for each distinct remedy.

    SternaError
    ├── InvalidSpec                the request itself is wrong                     exit 2   HTTP 422
    │   ├── MalformedRequest         not understood as HTTP                                  HTTP 400
    │   ├── MethodNotAllowed, RequestTimeout, RequestTooLarge                                HTTP 405, 408, 413
    │   ├── UnsupportedMediaType, RangeNotSatisfiable                                        HTTP 415, 416
    │   └── IdempotencyKeyReused     one key, two payloads
    ├── InputError                 a file is wrong                                 exit 7   HTTP 422
    │   ├── UnsupportedFormat        not a format that is read; how to export one that is
    │   ├── ModelCorrupt             truncated, not JSON, a missing or lying member
    │   ├── ModelUnsafe              would need code from the file: pickles, custom objects, odd archives
    │   ├── ModelTooLarge            above a limit that the service sets
    │   ├── ModelVersionUnsupported  written by a torch too old or too new
    │   ├── OperatorUnsupported      operators outside the allow-list, by name
    │   ├── NothingToTernarise       no weight of a linear, convolution, … layer is left
    │   ├── NonFiniteWeights         NaN or infinity in the weights
    │   ├── ModelDoesNotRun          the network fails on the data, or cannot be trained
    │   ├── DataCorrupt              truncated or not an .npz
    │   ├── DataUnsafe               object arrays, which are pickles
    │   ├── DataTooLarge             above a limit that the service sets
    │   ├── DataMismatch             names, shapes or dtypes do not fit the inputs of the model
    │   ├── NonFiniteData            NaN or infinity in the data
    │   ├── UploadDigestMismatch     the parts that arrived are not the file that was promised
    │   ├── ArtifactCorrupt          truncated, overlapping, lying counts
    │   ├── ArtifactDigestMismatch   bytes are not those that were written
    │   ├── ArtifactVersionUnsupported  written by a newer format
    │   ├── ExportUnsupported        the network says what the format of an export cannot
    │   └── CheckpointRejected       of other inputs, another method or another network, or damaged
    ├── JobError                   the work failed                                 exit 3
    │   ├── TrainingDiverged         the loss became NaN or infinite
    │   ├── TargetUnreachable        no network with that sparsity exists within the tolerance
    │   ├── OutOfMemory, TimeLimit, DiskLimit, RunnerCrashed, AttemptsExhausted
    │   ├── StorageUnavailable       the files of the job cannot be stored or fetched
    │   ├── ExtraMissing             a package that this work needs is not installed
    │   └── Cancelled                somebody asked for it
    ├── AcceptanceMissed           the result is worse than `acceptance` allows    exit 4
    ├── WaitTimeout                the client's patience ended, the job goes on    exit 5
    ├── AccessDenied               not allowed                                     exit 6   HTTP 403
    │   └── Unauthenticated          no key, or one that opens nothing                       HTTP 401
    ├── QuotaExceeded              as much is used as may be                       exit 6   HTTP 429
    │   └── RateLimited              too many requests in too short a time
    ├── NotFound, Conflict         no such thing, or not in this state             exit 2   HTTP 404, 409
    │   └── RequestInProgress        the same request is being handled
    ├── SandboxUnavailable         a worker may not run jobs without it            exit 3
    ├── GpuUnavailable             a worker's GPUs are not there or another's      exit 3
    ├── SetupError                 the installation does not start as it is set up exit 8
    │   ├── SettingUnusable          an address is malformed, or needs what is not installed or not there
    │   ├── BackendUnreachable       database, broker or storage does not answer
    │   ├── DatabaseOutdated         the schema is older than the code
    │   ├── DatabaseTooNew           the schema is newer than the code
    │   ├── DatabaseForeign          the tables are those of no version
    │   └── ContentMissing           rows refer to what is not in the blob store
    └── ServiceUnavailable         the service does not answer                     exit 3   HTTP 503

`str(error)` says what was found and what is allowed; `error.hint` says what to do. `error.code` is stable and is what
programs compare. HTTP statuses are given once, at the edge, in `service/problems.py`.
"""

from __future__ import annotations

from typing import ClassVar


class SternaError(Exception):
    """Root of the tree.

    Args:
        detail: what was found and what is allowed, one sentence.
        hint: what to do about it, one sentence; empty where the detail already says it.
        retry_after_s: after so long it is worth another try; None: not because of the time that passes.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    exit_code: ClassVar[int] = 3

    def __init__(self, detail: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.retry_after_s = retry_after_s


class InvalidSpec(SternaError):
    """A field of the request is missing, unknown or out of range."""

    code = "INVALID_SPEC"
    exit_code = 2


class InputError(SternaError):
    """A file that somebody sent cannot be used."""

    code = "INVALID_INPUT"
    exit_code = 7


class UnsupportedFormat(InputError):
    """The file is not of a format that is read."""

    code = "UNSUPPORTED_FORMAT"


class ModelCorrupt(InputError):
    """The model file is truncated or contradicts itself."""

    code = "MODEL_CORRUPT"


class ModelUnsafe(InputError):
    """Reading the model would mean running code from the file."""

    code = "MODEL_UNSAFE"


class ModelTooLarge(InputError):
    """The model exceeds a limit."""

    code = "MODEL_TOO_LARGE"


class ModelVersionUnsupported(InputError):
    """The model was written by a version of torch that is not read."""

    code = "MODEL_VERSION_UNSUPPORTED"


class OperatorUnsupported(InputError):
    """The model uses operators outside the allow-list."""

    code = "OPERATOR_UNSUPPORTED"


class NothingToTernarise(InputError):
    """No weight is left that can be made ternary."""

    code = "NOTHING_TO_TERNARISE"


class NonFiniteWeights(InputError):
    """A weight of the model is NaN or infinite."""

    code = "NONFINITE_WEIGHTS"


class ModelDoesNotRun(InputError):
    """The network fails on the data, or cannot be trained."""

    code = "MODEL_DOES_NOT_RUN"


class DataCorrupt(InputError):
    """The data file is truncated or not what it says."""

    code = "DATA_CORRUPT"


class DataUnsafe(InputError):
    """The data file holds pickled objects."""

    code = "DATA_UNSAFE"


class DataTooLarge(InputError):
    """The data file exceeds a limit."""

    code = "DATA_TOO_LARGE"


class DataMismatch(InputError):
    """The data does not fit the inputs of the model."""

    code = "DATA_MISMATCH"


class NonFiniteData(InputError):
    """A value of the data is NaN or infinite."""

    code = "NONFINITE_DATA"


class UploadDigestMismatch(InputError):
    """The bytes that arrived are not those that were promised."""

    code = "UPLOAD_DIGEST_MISMATCH"


class ArtifactCorrupt(InputError):
    """The artifact is truncated or contradicts itself."""

    code = "ARTIFACT_CORRUPT"


class ArtifactDigestMismatch(InputError):
    """The bytes are not those that were written."""

    code = "ARTIFACT_DIGEST_MISMATCH"


class ArtifactVersionUnsupported(InputError):
    """The artifact was written by a format version or codec this reader does not know."""

    code = "ARTIFACT_VERSION_UNSUPPORTED"


class ExportUnsupported(InputError):
    """The network cannot be written in the format asked for."""

    code = "EXPORT_UNSUPPORTED"


class CheckpointRejected(InputError):
    """A checkpoint cannot be gone on from: it is damaged, or of another run."""

    code = "CHECKPOINT_REJECTED"

    def __init__(self, detail: str, *, hint: str = "Start the run without it.") -> None:
        super().__init__(detail, hint=hint)


class JobError(SternaError):
    """The work could not be finished."""

    code = "JOB_FAILED"


class TrainingDiverged(JobError):
    """The loss became NaN or infinite."""

    code = "TRAINING_DIVERGED"


class TargetUnreachable(JobError):
    """The tolerance is finer than one weight of the network."""

    code = "TARGET_UNREACHABLE"


class OutOfMemory(JobError):
    """The runner exceeded its memory."""

    code = "OUT_OF_MEMORY"


class TimeLimit(JobError):
    """The runner exceeded its time."""

    code = "TIME_LIMIT"


class DiskLimit(JobError):
    """The runner wrote more than it may."""

    code = "DISK_LIMIT"


class RunnerCrashed(JobError):
    """The runner ended without a result."""

    code = "RUNNER_CRASHED"


class AttemptsExhausted(JobError):
    """Every allowed attempt lost its worker."""

    code = "ATTEMPTS_EXHAUSTED"


class StorageUnavailable(JobError):
    """The blob store or the worker's disk is away or full."""

    code = "STORAGE_UNAVAILABLE"


class ExtraMissing(JobError):
    """A package that an extra of Sterna brings is not installed here."""

    code = "EXTRA_MISSING"


class Cancelled(JobError):
    """Somebody asked for the job to be thrown away."""

    code = "CANCELLED"


class AcceptanceMissed(SternaError):
    """The result is worse than the spec's `acceptance` allows."""

    code = "ACCEPTANCE_MISSED"
    exit_code = 4


class WaitTimeout(SternaError):
    """The client stopped waiting; the job goes on."""

    code = "WAIT_TIMEOUT"
    exit_code = 5


class AccessDenied(SternaError):
    """The key is not allowed to do this, or the service does not answer to this address or page."""

    code = "ACCESS_DENIED"
    exit_code = 6


class Unauthenticated(AccessDenied):
    """The key is missing, unknown or revoked."""

    code = "UNAUTHENTICATED"


class QuotaExceeded(SternaError):
    """The tenant uses as much as it may."""

    code = "QUOTA_EXCEEDED"
    exit_code = 6


class RateLimited(QuotaExceeded):
    """Too many requests in too short a time."""

    code = "RATE_LIMITED"


class MalformedRequest(InvalidSpec):
    """The request is not HTTP that can be understood: a form without its end, a header that is none."""

    code = "MALFORMED_REQUEST"


class MethodNotAllowed(InvalidSpec):
    """The address exists and does not take this method."""

    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(InvalidSpec):
    """The sender fell silent in the middle of a body."""

    code = "REQUEST_TIMEOUT"


class RequestTooLarge(InvalidSpec):
    """The body or the file is larger than what is taken."""

    code = "REQUEST_TOO_LARGE"


class UnsupportedMediaType(InvalidSpec):
    """The body is of a type that this call does not take."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class RangeNotSatisfiable(InvalidSpec):
    """The range of a download begins behind its end."""

    code = "RANGE_NOT_SATISFIABLE"


class IdempotencyKeyReused(InvalidSpec):
    """The Idempotency-Key of the request came with another payload before."""

    code = "IDEMPOTENCY_KEY_REUSED"


class NotFound(SternaError):
    """There is no such thing."""

    code = "NOT_FOUND"
    exit_code = 2


class Conflict(SternaError):
    """The thing exists and its state does not allow this."""

    code = "CONFLICT"
    exit_code = 2


class RequestInProgress(Conflict):
    """The same request is being handled; its answer is not there yet."""

    code = "REQUEST_IN_PROGRESS"


class SandboxUnavailable(SternaError):
    """The operator demands a sandbox and the machine has none that works."""

    code = "SANDBOX_UNAVAILABLE"


class GpuUnavailable(SternaError):
    """The GPUs that a worker is to use are not there, or are another worker's."""

    code = "GPU_UNAVAILABLE"


class SetupError(SternaError):
    """The installation does not start as it is set up."""

    code = "SETUP_ERROR"
    exit_code = 8


class SettingUnusable(SetupError):
    """A setting is malformed, or needs a package, a folder or a bucket that is not there."""

    code = "SETTING_UNUSABLE"


class BackendUnreachable(SetupError):
    """Database, broker or storage did not answer when the installation started."""

    code = "BACKEND_UNREACHABLE"


class DatabaseOutdated(SetupError):
    """The schema of the database is older than this version of Sterna needs."""

    code = "DATABASE_OUTDATED"


class DatabaseTooNew(SetupError):
    """The schema of the database was made by a newer version of Sterna."""

    code = "DATABASE_TOO_NEW"


class DatabaseForeign(SetupError):
    """The database holds tables that no version of Sterna made."""

    code = "DATABASE_FOREIGN"


class ContentMissing(SetupError):
    """Jobs or uploads refer to content that the blob store does not hold."""

    code = "CONTENT_MISSING"


class ServiceUnavailable(SternaError):
    """The service does not answer."""

    code = "SERVICE_UNAVAILABLE"
