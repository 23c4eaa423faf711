"""What travels on the queue. The ledger is the truth: a message says only which attempt of which job is due."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class JobMessage(BaseModel):
    """One attempt of one job. Lost and repeated messages do no harm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    attempt: int

    @property
    def key(self) -> str:
        """The same for each repetition of this message: a broker that knows it need not keep both."""
        return f"{self.job_id}-{self.attempt}"


RUN_JOB_TASK = "sterna.run_job"
