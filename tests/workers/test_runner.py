import io
import json
import os
import resource
import subprocess
import sys
import textwrap
import time

import pytest

from api_schemas import ProgressPoint, Result
from api_schemas.events import PhaseChange
from sterna.errors import NonFiniteData
from workers.protocol import ErrorLine, ResultLine, parse_line
from workers.runner import Orders, Voice, run

RESULT = Result(
    target_sparsity=0.5,
    sparsity=0.5,
    alpha=0.4,
    target_met=True,
    metric=None,
    bits_per_weight=1.2,
    entropy_bits_per_weight=1.1,
    model_bytes=10,
    artifact_bytes=5,
    ratio=2.0,
    steps=3,
    seconds=0.1,
)
STUB = """
import sys, types
stub = types.ModuleType("sterna.compress")
def compress(model, data, spec, out, *, on_event, control, checkpointing):
{body}
stub.compress = compress
sys.modules["sterna.compress"] = stub
from workers.runner import main
raise SystemExit(main(sys.argv[1:]))
"""


class Silence:
    def current(self):
        return "continue"


def hear(compress, workdir=None):
    output = io.BytesIO()
    code = run(workdir, Voice(output), Silence(), compress)
    return code, [parse_line(line) for line in output.getvalue().splitlines()]


def start(folder, body, *limits):
    """A real runner process whose `sterna.compress.compress` has that body."""
    (folder / "spec.json").write_text('{"target_sparsity": 0.5}')
    (folder / "out").mkdir()
    script = STUB.format(body=textwrap.indent(textwrap.dedent(body), "    "))
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *limits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_events_then_the_result():
    def compress(_workdir, on_event, control):
        assert control() == "continue"
        on_event(PhaseChange(phase="search"))
        on_event(ProgressPoint(step=1, steps=2, lambda_=0.5))
        return RESULT

    code, lines = hear(compress)

    assert code == 0
    assert lines == [
        PhaseChange(phase="search"),
        ProgressPoint(step=1, steps=2, lambda_=0.5),
        ResultLine(result=RESULT),
    ]


def test_a_typed_error_keeps_code_hint_and_exit_code():
    def compress(*_):
        raise NonFiniteData("input x holds NaN", hint="Clean the data.")

    code, [line] = hear(compress)

    assert (code, line.error.code, line.error.message, line.error.hint) == (
        7,
        "NONFINITE_DATA",
        "input x holds NaN",
        "Clean the data.",
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ZeroDivisionError("secret path"), "RUNNER_CRASHED"),
        (MemoryError(), "OUT_OF_MEMORY"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "RUNNER_CRASHED"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "OUT_OF_MEMORY"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), "OUT_OF_MEMORY"),
    ],
)
def test_an_unexpected_error_is_named_and_its_trace_goes_to_the_log(capsys, error, code):
    def compress(*_):
        raise error

    exit_code, [line] = hear(compress)

    assert (exit_code, line.error.code) == (3, code)
    assert "secret path" not in line.error.message
    if isinstance(error, ZeroDivisionError):
        assert "ZeroDivisionError" in line.error.message
    if isinstance(error, ModuleNotFoundError):
        assert "torch" in line.error.message
        assert "sterna[worker]" in line.error.hint
    assert "Traceback" in capsys.readouterr().err


def test_orders_arrive_and_a_cancel_stays(eventually):
    ours, theirs = os.pipe()
    orders = Orders(ours)
    assert orders.current() == "continue"
    for word, expected in [("stop", "stop"), ("cancel", "cancel"), ("stop", "cancel"), ("nonsense", "cancel")]:
        os.write(theirs, word.encode() + b"\n")
        eventually(lambda expected=expected: orders.current() == expected)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"from api_schemas import Result; return Result.model_validate_json({RESULT.model_dump_json()!r})", 0),
        ("from sterna.errors import NonFiniteData; raise NonFiniteData('x')", 7),
        ("raise ZeroDivisionError", 3),
    ],
)
def test_a_process_that_ends_by_itself_ends_with_the_code_of_its_result(tmp_path, body, code):
    process = start(tmp_path, body)
    with process:
        line = process.stdout.readline()  # its input stays open, as the supervisor's does
        assert process.wait(timeout=60) == code, process.stderr.read().decode()
    assert parse_line(line)


def test_a_process_limits_itself_and_keeps_prints_out_of_the_protocol(tmp_path):
    process = start(
        tmp_path,
        """
        import json, os, resource
        from api_schemas.events import Message
        print("a library prints")
        os.system("echo so does a program")
        kinds = ("RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
        limits = {kind: resource.getrlimit(getattr(resource, kind))[0] for kind in kinds}
        on_event(Message(code="LIMITS", text=json.dumps(limits)))
        status = open("/proc/self/status").read()
        on_event(Message(code="STATUS", text=status))
        (out / "large").write_bytes(bytes(3_000_000))
        """,
        "--memory-bytes=3000000000",
        "--cpu-s=77",
        "--file-bytes=2000000",
    )
    output, log = process.communicate(timeout=120)
    message, status, error = (parse_line(line) for line in output.splitlines())

    cap = resource.getrlimit(resource.RLIMIT_DATA)[1]
    assert cap in (resource.RLIM_INFINITY, max(cap, 3_000_000_000))
    assert json.loads(message.text) == {
        "RLIMIT_DATA": 3_000_000_000,
        "RLIMIT_CPU": 77,
        "RLIMIT_FSIZE": 2_000_000,
        "RLIMIT_CORE": 0,
    }
    assert "NoNewPrivs:\t1" in status.text
    assert isinstance(error, ErrorLine)
    assert error.error.code == "DISK_LIMIT"
    assert b"a library prints" in log
    assert b"so does a program" in log


def test_memory_beyond_the_limit_is_out_of_memory(tmp_path):
    process = start(tmp_path, "bytearray(2_000_000_000)", "--memory-bytes=500000000")
    output, _ = process.communicate(timeout=120)

    assert parse_line(output).error.code == "OUT_OF_MEMORY"


def test_a_runner_whose_supervisor_is_gone_is_told_to_cancel(tmp_path):
    process = start(
        tmp_path,
        """
        import time
        from sterna.errors import Cancelled
        while control() == "continue":
            time.sleep(0.01)
        raise Cancelled(control())
        """,
    )
    output, _ = process.communicate(timeout=120)  # closes its input without a word

    assert parse_line(output).error.message == "cancel"


def test_an_orphan_that_ignores_its_orders_ends_itself(tmp_path):
    (tmp_path / "spec.json").write_text('{"target_sparsity": 0.5}')
    script = STUB.format(body="    import time; time.sleep(60)").replace(
        "raise SystemExit", "import workers.runner; workers.runner.ORPHAN_GRACE_S = 0.2\nraise SystemExit"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.DEVNULL, timeout=120, check=False
    )

    assert done.returncode == 3
    assert time.monotonic() - began < 20
