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
    """The same for a page, without what only one job's page would show: histograms are most of a result's bytes."""
    return page.model_copy(update={"jobs": tuple(linked(_without_histograms(job)) for job in page.jobs)})


def _without_histograms(job: Job) -> Job:
    if job.result is None:
        return job
    layers = tuple(layer.model_copy(update={"histogram": None}) for layer in job.result.layers)
    return job.model_copy(update={"result": job.result.model_copy(update={"layers": layers})})


def linked_artifact(job_id: str, artifact: ArtifactRef) -> ArtifactRef:
    """The artifact with its address."""
    return artifact.model_copy(update={"url": f"/v1/jobs/{job_id}/artifacts/{quote(artifact.name, safe='')}"})
