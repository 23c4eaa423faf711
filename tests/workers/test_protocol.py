import json

import pytest

from api_schemas import JobErrorInfo, ProgressPoint
from api_schemas.events import Message, PhaseChange
from sterna.errors import RunnerCrashed
from workers.protocol import CheckpointLine, ErrorLine, format_line, parse_line

FIGURES = dict.fromkeys(
    ["target_sparsity", "sparsity", "bits_per_weight", "entropy_bits_per_weight", "ratio", "seconds"], 0.5
) | {"alpha": None, "target_met": True, "metric": None, "model_bytes": 1, "artifact_bytes": 1, "steps": 1}


@pytest.mark.parametrize(
    "line",
    [
        ProgressPoint(step=1, steps=2, lambda_=0.1),
        PhaseChange(phase="pack"),
        Message(code="NO_DATA", text="ä\n\u2028"),
        ErrorLine(error=JobErrorInfo(code="X", message="m")),
        CheckpointLine(sha256="0f" * 32, bytes=10, step=0),
    ],
)
def test_what_is_written_is_read_back_from_one_line(line):
    written = format_line(line)
    assert written.count(b"\n") == 1
    assert parse_line(written) == line


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"kind": "state", "state": "succeeded", "attempt": 1}\n',
        b'{"kind": "progress", "step": -1, "steps": 5}\n',
        b'{"kind": "progress", "step": 6, "steps": 5}\n',
        b'{"kind": "progress", "step": 1, "steps": 99999999999999999999}\n',
        b'{"kind": "message", "code": "X", "text": "\\ud800"}\n',
        b'{"kind": "checkpoint", "sha256": "../../model", "bytes": 5, "step": 1}\n',
        json.dumps({"kind": "checkpoint", "sha256": "0f" * 32, "bytes": 0, "step": 1}).encode(),
        json.dumps({"kind": "checkpoint", "sha256": "0f" * 32, "bytes": 5, "step": -1}).encode(),
        b"\xff\xfe\n",
        b"[" * 100_000,
        json.dumps({"kind": "result", "result": FIGURES | {"sparsity": float("nan")}}).encode(),
        json.dumps({"kind": "result", "result": FIGURES | {"sparsity": float("inf")}}).encode(),
    ],
)
def test_anything_else_is_a_typed_failure(said):
    with pytest.raises(RunnerCrashed):
        parse_line(said)


def test_a_result_with_numbers_is_read():
    assert parse_line(json.dumps({"kind": "result", "result": FIGURES}).encode()).result.sparsity == 0.5
