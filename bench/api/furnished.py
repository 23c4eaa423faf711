"""Something of each kind in a ledger, so that ids lead somewhere: an upload, a finished job, a sweep, a webhook."""

from __future__ import annotations

from pathlib import Path

from api_schemas import ArtifactRef, JobMessage, JobSpec, Result, UploadRequest
from api_schemas.sweeps import SweepSpec
from api_schemas.webhooks import WebhookRequest
from sterna.digest import file_digest
from storage import BlobStore, Ledger, Settings


def furnish(settings: Settings, folder: Path, *, tenant: str) -> dict[str, str]:
    """Makes one of each; returns the path parameters that name them."""
    ledger, blobs = Ledger.open(settings.database_url), BlobStore.open(settings.storage_url)
    try:
        ledger.beat("bench", capacity=1)
        path = folder / "model.pt2"
        path.write_bytes(b"no model" * 1000)
        ledger.pin(file_digest(path))
        sha256, size_bytes = blobs.put_file(path)
        wanted = UploadRequest(filename="model.pt2", bytes=size_bytes, sha256=sha256)
        upload = ledger.create_upload(wanted, part_bytes=1000, complete=True, tenant=tenant)
        webhook, _ = ledger.create_webhook(WebhookRequest(url="https://bench.invalid/"), tenant=tenant)
        sweep, _ = ledger.create_sweep(SweepSpec(model=upload.id, targets=(0.5, 0.7)), tenant=tenant)
        job = ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5), tenant=tenant)
        message = JobMessage(job_id=job.id, attempt=1)
        lease = ledger.claim(message, worker_id="bench", lease_s=60)
        assert lease is not None
        ledger.keep_log(lease, "words\n")
        name = "model.sterna"
        assert ledger.succeed(lease, result_with(name, sha256, size_bytes))
        (delivery,) = ledger.deliveries(webhook.id, tenant=tenant)
    finally:
        ledger.close()
    ids = {"job_id": job.id, "upload_id": upload.id, "sweep_id": sweep.id, "name": name}
    return ids | {"webhook_id": webhook.id, "delivery_id": delivery.id}


def result_with(name: str, sha256: str, size_bytes: int) -> Result:
    """A result with one artifact; its figures mean nothing."""
    artifact = ArtifactRef(name=name, sha256=sha256, bytes=size_bytes, media_type="application/octet-stream")
    return Result(
        target_sparsity=0.5,
        sparsity=0.5,
        alpha=0.1,
        target_met=True,
        metric=None,
        bits_per_weight=1.6,
        entropy_bits_per_weight=1.5,
        model_bytes=100,
        artifact_bytes=artifact.bytes,
        ratio=10,
        steps=4,
        seconds=1,
        artifacts=(artifact,),
    )
