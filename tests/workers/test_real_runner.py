"""The real runner on a real network, through the supervisor: claim to artifact."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import transformers

from api_schemas import JobMessage
from api_schemas.sweeps import MOST_ROUNDS, SweepSpec
from sterna.artifact import Artifact
from workers.slots import Slot
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


def test_a_bundle_of_transformers_is_built_within_the_walls(desk, walls, tmp_path):
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=40
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    bundle, data = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as archive:
        for name in ("config.json", "model.safetensors"):
            archive.write(tmp_path / name, name)
    ids = np.random.default_rng(0).integers(0, 40, (40, 6))
    np.savez(data, input_ids=ids, attention_mask=np.ones_like(ids))
    model, samples = desk.upload(bundle.getvalue(), "bert.zip"), desk.upload(data.getvalue(), "bert.npz")
    message = desk.submit(model=model, data=samples, target_sparsity=0.7, budget={"epochs": 2})

    outcome = Supervisor(desk.ledger, desk.blobs, desk.work_root, 60.0, confinement=walls).run(desk.claim(message))

    job = desk.ledger.job(message.job_id)
    assert outcome == "succeeded", job.error
    assert abs(job.result.sparsity - 0.7) <= 0.0005


def test_data_that_does_not_fit_is_the_typed_failure_of_intake(desk, mlp):
    model = desk.upload(mlp.model.read_bytes(), "mlp.pt2")
    message = desk.submit(model=model, data=desk.upload(b"no npz", "data.npz"))

    Supervisor(desk.ledger, desk.blobs, desk.work_root, 30.0).run(desk.claim(message))

    error = desk.ledger.job(message.job_id).error
    assert error.code in {"DATA_CORRUPT", "UNSUPPORTED_FORMAT"}
    assert error.hint


def test_trials_side_by_side_end_with_artifacts_on_the_target(desk, mlp):
    model, data = desk.upload(mlp.model.read_bytes(), "mlp.pt2"), desk.upload(mlp.data.read_bytes(), "mlp.npz")
    spec = SweepSpec(
        model=model, data=data, targets=(0.6,), search={"strategy": "trials"}, side_by_side=2, budget={"epochs": 4}
    )
    sweep, jobs = desk.ledger.create_sweep(spec)

    def run(slot, message):
        supervisor = Supervisor(desk.ledger, desk.blobs, desk.work_root, 60.0, slot=Slot(f"cpu-{slot}", 1))
        return supervisor.run(desk.claim(message, worker_id=f"worker-{slot}"))

    group = tuple(JobMessage(job_id=job.id, attempt=job.attempt) for job in jobs)
    with ThreadPoolExecutor(2) as slots:
        while group:
            assert set(slots.map(run, range(len(group)), group)) == {"succeeded"}
            (group,) = desk.ledger.plan_rounds() or ((),)

    found = desk.ledger.sweep(sweep.id)
    assert found.state == "finished"
    assert 1 <= max(point.round for point in found.points) <= MOST_ROUNDS
    assert all(abs(point.sparsity - 0.6) <= 0.0005 for point in found.points)
    by_alpha = [point.trial_sparsity for point in found.points]  # points of a target are in the order of their α
    assert by_alpha == sorted(by_alpha)
    assert by_alpha[0] < 0.6 < by_alpha[-1]
    assert [point.nearest for point in found.points].count(True) == 1
