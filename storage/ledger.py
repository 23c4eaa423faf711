"""The ledger: the one truth about jobs, uploads and workers. What a broker or a process says is only a hint."""

from __future__ import annotations

from storage.claims import Claims
from storage.collection import Collection
from storage.figures import Counts
from storage.history import History
from storage.jobs import Jobs
from storage.keys import Keys
from storage.once import Once
from storage.submissions import Submissions
from storage.sweeps import Sweeps
from storage.uploads import Uploads
from storage.webhooks import Webhooks
from storage.work import Work
from storage.workers import Workers


class Ledger(
    Jobs, Submissions, Sweeps, Once, Claims, Work, Workers, Uploads, Collection, Keys, Webhooks, Counts, History
):
    """Everything of the ledger on one database: `Ledger.open(url)`. Its parts are the classes that it joins."""
