"""A runner without torch that behaves as its first argument says: python stand_in.py BEHAVIOUR WORKDIR [limits…]."""

import hashlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path


def say(kind, **fields):
    sys.stdout.write(json.dumps({"kind": kind} | fields) + "\n")
    sys.stdout.flush()


def progress(step):
    say("progress", step=step, steps=100, loss=1 / (step + 1), sparsity=0.5, alpha=0.4, **{"lambda": 0.01})


def result(workdir, steps, *, copies=1, **changed):
    spec = json.loads((workdir / "spec.json").read_text())
    content = (workdir / "model").read_bytes()[::-1]
    (workdir / "out" / "model.sterna").write_bytes(content)
    artifact = {
        "name": "model.sterna",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "media_type": "application/octet-stream",
    } | changed
    figures = {
        "target_sparsity": spec["target_sparsity"],
        "sparsity": spec["target_sparsity"],
        "alpha": 0.4,
        "target_met": True,
        "metric": None,
        "bits_per_weight": 1.2,
        "entropy_bits_per_weight": 1.1,
        "model_bytes": len(content),
        "artifact_bytes": len(content),
        "ratio": 1.0,
        "steps": steps,
        "seconds": 0.1,
        "artifacts": [artifact] * copies,
    }
    say("result", result=figures)


def succeed(workdir):
    say("phase", phase="search")
    for step in range(5):
        progress(step)
    result(workdir, 5)


def slow(workdir):
    for step in range(40):
        progress(step)
        time.sleep(0.05)
    result(workdir, 40)


def talkative(workdir):
    sys.stderr.write("words for the log\n")
    for step in range(5001):
        say("progress", step=step, steps=5000, loss=1 / (step + 1))
    result(workdir, 5000)


def error(_workdir):
    say("error", error={"code": "TRAINING_DIVERGED", "message": "the loss became NaN", "hint": "less speed"})
    raise SystemExit(3)


def crash(_workdir):
    progress(1)
    sys.stderr.write("last words\n")
    raise SystemExit(9)


def segfault(_workdir):
    os.kill(os.getpid(), signal.SIGSEGV)


def half_a_line(_workdir):
    sys.stdout.write('{"kind": "progress", "st')
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGABRT)


def starved(_workdir):
    sys.stderr.write("terminate called after throwing an instance of 'std::bad_alloc'\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGABRT)


def hang(workdir):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (workdir.parent / "pid").write_text(str(os.getpid()))
    say("phase", phase="search")
    time.sleep(600)


def spin(_workdir):
    resource.setrlimit(resource.RLIMIT_CPU, (1, 5))
    while True:
        pass


def garbage(_workdir):
    sys.stdout.write("Downloading…\n")
    sys.stdout.flush()
    time.sleep(600)


def overlong(_workdir):
    sys.stdout.write("x" * 200_000)
    sys.stdout.flush()
    time.sleep(600)


def long_event(_workdir):
    say("message", code="LONG", text="x" * 70_000)
    time.sleep(600)


def complains_without_end(_workdir):
    for n in range(40):
        sys.stderr.write("complaint\n" * 100_000)
        sys.stderr.flush()
        progress(n)
        time.sleep(0.05)
    sys.stderr.write("last words\n")
    raise SystemExit(9)


def chatty(_workdir):
    while True:
        progress(1)


def impossible_step(_workdir):
    say("progress", step=10**30, steps=10**31)


def obey_stop(workdir):
    say("phase", phase="search")
    order = sys.stdin.readline()
    assert order == "stop\n", order
    result(workdir, 7)


def lying_digest(workdir):
    result(workdir, 1, sha256="0" * 64)


def twice(workdir):
    result(workdir, 1, copies=2)


def escaping_name(workdir):
    result(workdir, 1, name="../model")


def linked_artifact(workdir):
    (workdir / "out" / "linked").symlink_to("/etc/hostname")
    result(workdir, 1, name="linked")


def show_environment(workdir):
    say("message", code="ENVIRONMENT", text=json.dumps(dict(os.environ)))
    say("message", code="FILES", text=json.dumps(sorted(entry.name for entry in workdir.iterdir())))
    say("message", code="SPEC", text=(workdir / "spec.json").read_text())
    result(workdir, 1)


def snoop(workdir):
    """Tell everything that the environments of all processes in sight hold."""
    found = []
    for entry in Path("/proc").glob("*/environ"):
        try:
            found.append(entry.read_text(errors="replace"))
        except OSError:
            continue
    say("message", code="ENVIRONMENTS", text=json.dumps(found))
    result(workdir, 1)


def holds_output_open(_workdir):
    if os.fork() == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
    raise SystemExit(5)


def second_time_lucky(workdir):
    if workdir.name.endswith("-1"):
        hang(workdir)
    result(workdir, 2)


if __name__ == "__main__":
    {name: value for name, value in globals().items() if callable(value)}[sys.argv[1]](Path(sys.argv[2]))
