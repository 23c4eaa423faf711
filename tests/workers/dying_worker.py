"""A worker that takes one attempt of one job and is killed, SIGKILL, once the ledger knows a checkpoint far enough.

python dying_worker.py FOLDER JOB_ID ATTEMPT STEP
"""

import os
import signal
import sys
from pathlib import Path

from api_schemas import JobMessage
from storage import BlobStore, Ledger
from workers.checkpoints import CheckpointRules
from workers.supervisor import Supervisor

folder, job_id, attempt, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class MortalLedger(Ledger):
    def keep_checkpoint(self, lease, sha256, **more):
        assert super().keep_checkpoint(lease, sha256, **more)
        if more["step"] >= step:
            os.kill(os.getpid(), signal.SIGKILL)
        return True


ledger = MortalLedger.open(f"sqlite:///{folder}/sterna.db")
lease = ledger.claim(JobMessage(job_id=job_id, attempt=attempt), worker_id="mortal", lease_s=1.0)
assert lease is not None
rules = CheckpointRules(every_s=0.001)
print(Supervisor(ledger, BlobStore.open(f"file://{folder}/blobs"), folder / "work", 1.0, checkpoints=rules).run(lease))
