"""Where artifacts are downloaded: the ledger does not know addresses, answers do."""

from __future__ import annotations

from urllib.parse import quote

from api_schemas.jobs import ArtifactRef, Job, JobList


def linked(job: Job) -> Job:
    """The job with the addresses of its artifacts, relative to the service's own."""
    if job.result is None:
        return job
    artifacts = tuple(linked_artifact(job.id, artifact) for artifact in job.result.artifacts)
    return job.model_copy(update={"result": job.result.model_copy(update={"artifacts": artifacts})})


def linked_list(page: JobList) -> JobList:
    """The same for a page."""
    return page.model_copy(update={"jobs": tuple(linked(job) for job in page.jobs)})


def linked_artifact(job_id: str, artifact: ArtifactRef) -> ArtifactRef:
    """The artifact with its address."""
    return artifact.model_copy(update={"url": f"/v1/jobs/{job_id}/artifacts/{quote(artifact.name, safe='')}"})
