"""A runner without torch that behaves as its first argument says: python stand_in.py BEHAVIOUR WORKDIR [options…]."""

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


def dies_early(workdir):
    """Dies while it waits; when it is started for its job, it does it."""
    result(workdir, 3)


dies_late = dies_early  # when it hears of its job


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
    say("message", code="PID", text=str(os.getpid()))
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


def keep(workdir, content=b"state", **changed):
    (workdir / "out" / "new").write_bytes(content)
    (workdir / "out" / "new").rename(workdir / "out" / "checkpoint")
    fields = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "step": 1} | changed
    say("checkpoint", **fields)


def keeps_and_crashes(workdir):
    keep(workdir)
    time.sleep(0.5)
    raise SystemExit(9)


def keeps_and_succeeds(workdir):
    keep(workdir)
    time.sleep(0.3)
    result(workdir, 1)


def keeps_often(workdir):
    for step in range(10):
        keep(workdir, str(step).encode(), step=step)
        time.sleep(0.3 if step == 0 else 0)
    progress(9)
    while not (workdir.parent.parent / "go").exists():
        time.sleep(0.05)
    result(workdir, 9)


def told_falsely(lie):
    def behave(workdir):
        lie(workdir)
        time.sleep(0.3)
        if (workdir / "out").is_symlink():
            (workdir / "out").unlink()
            (workdir / "out").mkdir()
        result(workdir, 1)

    return behave


def in_place_of_it(make):
    def lie(workdir):
        make(workdir / "out" / "checkpoint")
        say("checkpoint", sha256=hashlib.sha256(b"state").hexdigest(), bytes=5, step=1)

    return told_falsely(lie)


def linked_folder(workdir):
    (workdir / "tmp" / "checkpoint").write_bytes(b"state")
    (workdir / "out").rmdir()
    (workdir / "out").symlink_to(workdir / "tmp")
    say("checkpoint", sha256=hashlib.sha256(b"state").hexdigest(), bytes=5, step=1)


lies_other_digest = told_falsely(lambda workdir: keep(workdir, sha256="0" * 64))
lies_other_length = told_falsely(lambda workdir: keep(workdir, bytes=4))
lies_too_large = told_falsely(lambda workdir: keep(workdir, bytes(1001)))
lies_no_file = in_place_of_it(lambda path: path.unlink(missing_ok=True))
lies_link = in_place_of_it(lambda path: path.symlink_to(path.parents[1] / "model"))
lies_linked_folder = told_falsely(linked_folder)
lies_pipe = in_place_of_it(os.mkfifo)
lies_device = in_place_of_it(lambda path: path.symlink_to("/dev/zero"))


if __name__ == "__main__":
    folder = sys.argv[2]
    if "--wait" in sys.argv:
        if sys.argv[1] == "dies_early":
            raise SystemExit(0)
        folder = sys.stdin.readline().removeprefix("start ").rstrip("\n")
        if not folder or sys.argv[1] == "dies_late":
            raise SystemExit(0)
    {name: value for name, value in globals().items() if callable(value)}[sys.argv[1]](Path(folder))
