"""A worker as it is really started, with one thing about it that is not as it should be.

    python -m tests.chaos.worker [--clock-off-s N] [--script N] [--impatient] -- [Celery's options]

`--clock-off-s` has the clock of Python's `time` module wrong by so many seconds; `--script` runs a shell script in
place of the runner that has a file and a result after so many seconds; `--impatient` gives a storage that fails 6 s.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import runpy
import sys
import time


def main() -> None:
    """Spoil what is to be spoiled, then be the worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clock-off-s", type=float, default=0.0)
    parser.add_argument("--script", type=float)
    parser.add_argument("--impatient", action="store_true")
    parser.add_argument("celery", nargs="*")
    options = parser.parse_args()
    if options.clock_off_s:
        _shift_clock(options.clock_off_s)
    changes: dict[str, object] = {}
    if options.script is not None:
        changes["command"] = script_runner(options.script)
    if options.impatient:
        changes["storage_waits_s"] = (1.0,) * 6
    if changes:
        from workers.context import WorkerContext  # noqa: PLC0415  after the clock

        real = WorkerContext.supervisor
        WorkerContext.supervisor = lambda self, slot: dataclasses.replace(real(self, slot), **changes)
    sys.argv = ["workers", *options.celery]
    runpy.run_module("workers", run_name="__main__", alter_sys=True)


def script_runner(seconds: float) -> tuple[str, ...]:
    """A runner that costs next to nothing: a shell. Its file is a copy of the spec, so equal specs have equal files."""
    steps = 10 if seconds else 0
    figures = dict.fromkeys(
        ("target_sparsity", "sparsity", "alpha", "bits_per_weight", "entropy_bits_per_weight", "ratio", "seconds"), 0.5
    )
    counts = dict.fromkeys(("model_bytes", "artifact_bytes", "steps"), 1)
    artifact = {"name": "model.sterna", "sha256": "@SHA256", "bytes": 0, "media_type": "application/octet-stream"}
    result = figures | counts | {"target_met": True, "metric": None, "artifacts": [artifact]}
    line = json.dumps({"kind": "result", "result": result}).replace("@SHA256", "'\"$2\"'")
    script = f"""
        echo '{{"kind": "phase", "phase": "search"}}'
        step=0
        while [ $step -lt {steps} ]; do
            echo '{{"kind": "progress", "step": '$step', "steps": {steps}}}'
            sleep {seconds / 10}
            step=$((step + 1))
        done
        echo '{{"kind": "phase", "phase": "pack"}}'
        cp "$1/spec.json" "$1/out/model.sterna"
        set -- "$1" $(sha256sum "$1/out/model.sterna")
        echo '{line}'
    """
    return ("/bin/sh", "-c", script, "script")


def _shift_clock(seconds: float) -> None:
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + round(seconds * 1e9)


if __name__ == "__main__":
    main()
