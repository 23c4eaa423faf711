"""The real runner on a real network, through the supervisor: claim to artifact."""

from sterna.artifact import Artifact
from workers.supervisor import Supervisor


def test_a_real_network_becomes_a_real_artifact(desk, mlp, walls):
    model = desk.upload(mlp.model.read_bytes(), "mlp.pt2")
    data = desk.upload(mlp.data.read_bytes(), "mlp.npz")
    message = desk.submit(model=model, data=data, target_sparsity=0.7, budget={"epochs": 2})

    outcome = Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0, confinement=walls).run(desk.claim(message))

    job = desk.ledger.job(message.job_id)
    assert outcome == "succeeded", job.error
    phases = [body.phase for body in desk.bodies(job.id) if body.kind == "phase"]
    assert phases[:3] == ["validating", "baseline", "search"]
    path = desk.folder / "fetched.sterna"
    desk.blobs.fetch(job.result.artifacts[0].sha256, path)
    with Artifact.open(path) as artifact:
        artifact.verify()
        assert abs(artifact.sparsity - 0.7) <= 0.0005


def test_data_that_does_not_fit_is_the_typed_failure_of_intake(desk, mlp):
    model = desk.upload(mlp.model.read_bytes(), "mlp.pt2")
    message = desk.submit(model=model, data=desk.upload(b"no npz", "data.npz"))

    Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0).run(desk.claim(message))

    error = desk.ledger.job(message.job_id).error
    assert error.code in {"DATA_CORRUPT", "UNSUPPORTED_FORMAT"}
    assert error.hint
