"""A Celery worker as it is really started, but with torch blocked and a stand-in for the runner.

python stand_in_worker.py BEHAVIOUR [celery's arguments…]
"""

import dataclasses
import sys
from pathlib import Path

sys.modules["torch"] = None  # importing it raises ImportError

from celery.__main__ import main  # noqa: E402  after the wall is up

from workers.context import WorkerContext  # noqa: E402  after the wall is up

behaviour, *arguments = sys.argv[1:]
real_supervisor = WorkerContext.supervisor
# Its text and not its path, which a runner inside bubblewrap could not see.
stand_in = (sys.executable, "-c", Path(__file__).with_name("stand_in.py").read_text(), behaviour)
WorkerContext.supervisor = lambda self: dataclasses.replace(real_supervisor(self), command=stand_in)
sys.argv = ["celery", "-A", "workers.celery_app", "worker", "-P", "threads", "-c", "1", *arguments]
main()
