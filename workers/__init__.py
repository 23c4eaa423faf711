"""Workers: claim a job from the ledger, run it in a child process of its own, and write down what came of it.

The Celery worker process (`celery_app`, `tasks`, `upkeep`) and the supervisor of a job's child never import torch.
Only the child does (`python -m workers.runner`), so that what a stranger's model makes of its memory ends with it.
"""
