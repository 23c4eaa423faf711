"""`sterna serve` for real, and the commands that talk to it: what a user types, from start to stop."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from sterna.artifact import Artifact
from sterna.cli.serve_command import LOG_BYTES, STOP_S
from tests.cli.live_service import listening, serving

README = Path(__file__).parents[2] / "README.md"


def children_of(pid):
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            stats.append(path.read_text())
    fields = [(int(stat.split()[0]), stat.rsplit(")", 1)[1].split()) for stat in stats]
    return [child for child, (state, parent, *_) in fields if int(parent) == pid and state != "Z"]


def descendants_of(pid):
    children = children_of(pid)
    return children + [further for child in children for further in descendants_of(child)]


def alive(pids):
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def eventually(condition, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.05)


def test_the_way_of_a_job(at_service, tiny, tmp_path):
    submitted = at_service(
        "submit", tiny.model, "--data", tiny.data, "-s", 0.5, "--epochs", 2, "--label", "team=vision", "--json"
    )
    job = json.loads(submitted.out)
    assert (submitted.code, job["spec"]["budget"]["epochs"], job["labels"]) == (0, 2.0, {"team": "vision"})

    waited = at_service("wait", job["id"], "--timeout", 300)
    assert waited.code == 0, waited.err
    assert "sparsity   50.0000%" in waited.out
    status = json.loads(at_service("status", job["id"], "--json").out)
    assert (status["state"], status["result"]["sparsity"]) == ("succeeded", 0.5)

    fetched = at_service("download", job["id"], "-o", tmp_path, "--json")
    assert json.loads(fetched.out) == {
        "path": str(tmp_path / "model.sterna"),
        "bytes": status["result"]["artifact_bytes"],
    }
    with Artifact.open(tmp_path / "model.sterna") as artifact:
        artifact.verify()
        assert artifact.sparsity == 0.5

    events = [json.loads(line) for line in at_service("events", job["id"], "--follow", "--json").out.splitlines()]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["body"]["state"] == "succeeded"
    assert "succeeded (attempt 1)" in at_service("events", job["id"]).out
    listed = json.loads(at_service("list", "--label", "team=vision", "--json").out)
    assert [one["id"] for one in listed["jobs"]] == [job["id"]]
    assert job["id"] in at_service("list").out
    assert at_service("cancel", job["id"]).code == 2


def test_an_onnx_goes_the_same_way(at_service, tiny_onnx, tmp_path):
    submitted = at_service("submit", tiny_onnx.model, "--data", tiny_onnx.data, "-s", 0.75, "--epochs", 2, "--json")
    job = json.loads(submitted.out)
    waited = at_service("wait", job["id"], "--timeout", 300)
    assert waited.code == 0, waited.err
    at_service("download", job["id"], "-o", tmp_path)
    with Artifact.open(tmp_path / "model.sterna") as artifact:
        artifact.verify()
        assert artifact.sparsity == 0.75


def lines_of_the_readme(word):
    """The shell lines of the README in which a word is, as they stand there."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    [found] = [block for block in blocks if word in block]
    return found


def run_lines(lines, folder, url):
    assert "sterna " in lines or "http://127.0.0.1:8000" in lines
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-e", "-c", lines.replace("http://127.0.0.1:8000", url)],
        cwd=folder,
        env=os.environ | {"STERNA_URL": url, "PATH": beside},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def own_files(tmp_path):
    """A model of a thousand weights, so that nine hundred can be zero, and its data."""
    network = torch.nn.Sequential(torch.nn.Linear(16, 40), torch.nn.ReLU(), torch.nn.Linear(40, 9))
    batch = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(network, (torch.zeros(3, 16),), dynamic_shapes=batch)
    torch.export.save(exported, tmp_path / "model.pt2")
    inputs = np.random.default_rng(0).standard_normal((40, 16), dtype=np.float32)
    np.savez(tmp_path / "data.npz", input=inputs, target=np.arange(40) % 9)
    return tmp_path


@pytest.mark.parametrize(("word", "made"), [("curl", ["model"]), ("sterna submit", ["model", "compressed"])])
def test_the_lines_of_the_readme(service, own_files, word, made):
    done = run_lines(lines_of_the_readme(word), own_files, service)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in made:
        with Artifact.open(own_files / f"{name}.sterna") as artifact:
            artifact.verify()
            assert abs(artifact.sparsity - 0.9) <= 0.0005


def test_the_lines_of_the_readme_save_nothing_false(service, own_files):
    lines = lines_of_the_readme("curl").replace("0.9}", '0.9, "time_limit_s": 0.01}')
    done = run_lines(lines, own_files, service)
    assert "TIME_LIMIT" in done.stdout
    assert sorted(path.name for path in own_files.iterdir()) == ["data.npz", "model.pt2"]


def test_cancel_within_seconds_and_the_exit_codes_of_a_wait(at_service, tiny):
    job_id = at_service("submit", tiny.model, "--data", tiny.data, "-s", 0.5, "--seconds", 600).out.strip()
    assert at_service("wait", job_id, "--timeout", 0.2).code == 5
    assert at_service("cancel", job_id).code == 0
    waited = at_service("wait", job_id, "--timeout", 120)
    assert waited.code == 3
    assert "error[CANCELLED]" in waited.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status", "job_x"], 2, "error[NOT_FOUND]"),
        (["list", "--label", "nonsense"], 2, "KEY=VALUE"),
        (["list", "--state", "asleep"], 2, "error[INVALID_SPEC]"),
        (["submit", __file__, "-s", "0.5"], 7, "error[UNSUPPORTED_FORMAT]"),
    ],
)
def test_refusals_of_the_service_are_printed_in_words(at_service, arguments, code, words):
    done = at_service(*arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_closed_terminal_and_a_kill_leave_no_orphan(tmp_path, sterna, monkeypatch, tiny, number):
    with serving(tmp_path, "--port", "0") as (process, output):
        monkeypatch.setenv("STERNA_URL", listening(process, output))
        job_id = sterna("submit", tiny.model, "--data", tiny.data, "-s", 0.5, "--seconds", 600).out.strip()
        eventually(lambda: json.loads(sterna("status", job_id, "--json").out)["state"] == "running", 120)
        eventually(lambda: len(descendants_of(process.pid)) >= 3, 120)  # service, worker, runner
        everybody = descendants_of(process.pid)
        process.send_signal(number)
        assert process.wait(timeout=STOP_S) == (0 if number == signal.SIGHUP else -number)
        eventually(lambda: not alive(everybody), STOP_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(tmp_path, number):
    with serving(tmp_path, "--port", "0") as (process, output):
        listening(process, output)
        children = children_of(process.pid)
        assert len(children) == 2
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=40) == 0
        assert time.monotonic() - began < STOP_S, "they were killed"
    assert alive(children) == []


def test_a_child_that_dies_takes_the_other_with_it_and_its_log_is_shown(tmp_path):
    with serving(tmp_path, "--port", "0") as (process, output):
        listening(process, output)
        children = children_of(process.pid)
        os.kill(max(children), signal.SIGKILL)  # the worker: it was started last
        assert process.wait(timeout=40) == 3
    assert alive(children) == []
    text = output.read_text()
    assert "error[SERVICE_UNAVAILABLE]: the worker ended with -9" in text
    assert "ready." in text  # of celery's log


def test_logs_are_continued_and_cut_when_long(tmp_path):
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    (logs / "service.log").write_bytes(b"of the crash\n")
    (logs / "worker.log").write_bytes(b"long\n" * (LOG_BYTES // 5 + 1))
    with serving(tmp_path, "--port", "0") as (process, output):
        listening(process, output)
        eventually(lambda: (logs / "worker.log.1").exists() and (logs / "worker.log").stat().st_size < LOG_BYTES, 60)
    assert (logs / "service.log").read_text().startswith("of the crash\n")
    assert "Uvicorn running" in (logs / "service.log").read_text()
    assert (logs / "worker.log.1").read_bytes().startswith(b"long\nlong\n")
    assert b"long" not in (logs / "worker.log").read_bytes()


def test_a_port_that_is_taken_is_refused_at_once(sterna, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = sterna("serve", "--data-dir", tmp_path / "data", "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "error[INVALID_SPEC]: cannot listen" in done.err


def test_an_address_that_others_reach_is_refused_with_the_reason(tmp_path):
    with serving(tmp_path, "--port", "0", "--host", "0.0.0.0") as (process, output):  # noqa: S104  to see it refused
        assert process.wait(timeout=60) == 2
    assert "error[INVALID_SPEC]: the service refuses to start" in output.read_text()
    assert "refusing to listen on 0.0.0.0" in output.read_text()


def test_without_torch_nothing_is_started_and_the_extra_is_named(sterna, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = sterna("serve", "--data-dir", tmp_path / "data", "--port", 0)
    assert (done.code, done.out) == (2, "")
    assert "need torch, which is not installed here" in done.err
    assert "sterna[worker]" in done.err
    assert not (tmp_path / "data").exists()
