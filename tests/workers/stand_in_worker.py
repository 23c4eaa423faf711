"""A Celery worker as it is really started, but with torch blocked and a stand-in for the runner.

python stand_in_worker.py BEHAVIOUR [celery's arguments…]
"""

import dataclasses
import runpy
import sys
from pathlib import Path

sys.modules["torch"] = None  # importing it raises ImportError

import workers.context  # noqa: E402  after the wall is up
from workers.context import WorkerContext  # noqa: E402  after the wall is up

behaviour, *arguments = sys.argv[1:]
real_supervisor = WorkerContext.supervisor
# Its text and not its path, which a runner inside bubblewrap could not see.
stand_in = (sys.executable, "-c", Path(__file__).with_name("stand_in.py").read_text(), behaviour)
WorkerContext.supervisor = lambda self, slot: dataclasses.replace(real_supervisor(self, slot), command=stand_in)
workers.context.RUNNER_COMMAND = stand_in
sys.argv = ["workers", *arguments]
runpy.run_module("workers", run_name="__main__", alter_sys=True)
