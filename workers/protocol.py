"""What a runner says on its standard output: one JSON object a line, events first, its result or its error last.

    {"kind": "phase", "phase": "search"}
    {"kind": "progress", "step": 40, "steps": 400, "loss": 0.31, "sparsity": 0.7, …}
    {"kind": "checkpoint", "sha256": "ab12…", "bytes": 81920, "step": 40}          out/checkpoint is there
    {"kind": "result", "result": {…}}     or     {"kind": "error", "error": {"code": …, "message": …, "hint": …}}

The other way, on its standard input, the supervisor writes `stop`, `cancel` or `checkpoint`, which asks for one now; to
a runner that was started ahead of its job first `start` and where its folder is. A closed input without a word means
that the supervisor is gone, which is a `cancel`. What a runner says is checked as if a stranger had said it: the runner
has read a stranger's file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api_schemas import JobErrorInfo, ProgressPoint, Result
from api_schemas.events import Message, PhaseChange
from sterna.errors import RunnerCrashed


class ResultLine(BaseModel):
    """The job is done; the files that the result names are in `out/`."""

    kind: Literal["result"] = "result"
    result: Result


class ErrorLine(BaseModel):
    """The job failed for a reason that has a name."""

    kind: Literal["error"] = "error"
    error: JobErrorInfo


class CheckpointLine(BaseModel):
    """The state of the training lies in `out/checkpoint`, until the next one takes its place."""

    kind: Literal["checkpoint"] = "checkpoint"
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0, le=2**53)
    step: int = Field(ge=0, le=2**53)


EventLine = ProgressPoint | PhaseChange | Message
Line = EventLine | CheckpointLine | ResultLine | ErrorLine
_MOST_STEPS = 2**53
_LINES: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="kind")])


def parse_line(line: bytes) -> Line:
    """Read one line of a runner.

    Raises:
        RunnerCrashed: the line is not JSON, or not one of the objects above.
    """
    try:
        heard = _LINES.validate_json(line)
        if isinstance(heard, ResultLine):
            # NaN passes the reading above and could not be stored: written and read again, it is no number.
            Result.model_validate_json(heard.result.model_dump_json())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(str(part) for part in first["loc"]) or "the line"
        raise RunnerCrashed(
            f"the runner said something that is not in its protocol: {where}: {first['msg']}",
            hint="Something printed to the runner's standard output; the worker's log holds its last lines.",
        ) from None
    if isinstance(heard, ProgressPoint) and not 0 <= heard.step <= heard.steps <= _MOST_STEPS:
        raise RunnerCrashed(f"the runner told of step {heard.step} of {heard.steps}, which cannot be")
    return heard


def format_line(line: Line) -> bytes:
    """Write one line, its newline included."""
    return line.model_dump_json(by_alias=True).encode() + b"\n"
