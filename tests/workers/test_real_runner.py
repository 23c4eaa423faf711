"""The real runner on a real network, through the supervisor: claim to artifact."""

import io
import zipfile

import numpy as np
import transformers

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
