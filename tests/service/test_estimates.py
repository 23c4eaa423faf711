import pytest

from api_schemas import CompressSpec, Result
from api_schemas.jobs import LayerReport
from service.estimates import Case, estimate
from sterna.compress.compress import compress
from sterna.intake import inspect_model
from storage.history import Pace


def test_the_artifact_has_about_the_bytes_that_were_said(mlp, tmp_path):
    spec = CompressSpec(target_sparsity=0.9, budget={"epochs": 0.5})
    said = estimate(Case(spec, inspect_model(mlp.model), mlp.data.stat().st_size, None))
    result = compress(mlp.model, mlp.data, spec, tmp_path)
    assert said.artifact_bytes == pytest.approx(result.artifact_bytes, rel=0.15)
    assert said.ternarisable_weights == sum(layer.weights for layer in result.layers)


def test_earlier_jobs_are_what_the_time_is_taken_from(mlp):
    found = inspect_model(mlp.model)
    weights = found.ternarisable_weights
    spec = CompressSpec(target_sparsity=0.9)
    paces = [Pace(0.01, weights, same_model=True), Pace(0.01, weights / 2, same_model=False), None]
    same, other, none = (estimate(Case(spec, found, 0, pace)) for pace in paces)
    assert (same.basis, other.basis, none.basis) == ("model", "history", "rule")
    assert same.steps == 600
    assert same.seconds == 5 + 600 * 0.01
    assert other.seconds == 5 + 600 * 0.02
    capped = estimate(Case(CompressSpec(target_sparsity=0.9, budget={"seconds": 2}), found, 0, paces[1]))
    assert capped.seconds == 7
    many = estimate(Case(CompressSpec(target_sparsity=0.9, budget={"epochs": 3}), found, 0, None))
    assert many.steps == 3 * 32  # 2048 synthetic samples in batches of 64


def test_an_estimate_makes_no_job_and_keeps_no_file(service, tiny, sha256_of, refused):
    before = service.http.get("/v1/jobs?page_size=200").json()["jobs"]
    model = tiny.model.read_bytes() + b" "
    form = {"spec": (None, '{"target_sparsity": 0.75}'), "model": model[:-1], "data": tiny.data.read_bytes()}
    answer = service.http.post("/v1/jobs/estimate", files=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["ternarisable_weights"] == 72
    assert answer.json()["memory_bytes"] > 10**8
    ids = {"model": service.upload(tiny.model.read_bytes()), "data": service.upload(tiny.data.read_bytes())}
    same = service.http.post("/v1/jobs/estimate", json=ids | {"target_sparsity": 0.75}).json()
    assert same == answer.json()
    refused(service.http.post("/v1/jobs/estimate", files=form | {"model": b"no model"}), 422, "UNSUPPORTED_FORMAT")
    assert not service.backends.blobs.has(sha256_of(b"no model at all"))
    assert service.http.get("/v1/jobs?page_size=200").json()["jobs"] == before


def test_the_pace_of_this_model_comes_before_that_of_others(service):
    job = service.queued()
    model = service.ledger.upload_sha256(job.spec.model)
    lease = service.claim(job)
    layer = LayerReport(name="w", shape=(8, 6), weights=48, sparsity=0.5, scale_shape=(8, 1))
    figures = dict.fromkeys(("sparsity", "bits_per_weight", "entropy_bits_per_weight", "ratio"), 1.0)
    result = Result(target_sparsity=0.5, alpha=None, target_met=True, metric=None, model_bytes=1, artifact_bytes=1,
                    steps=50, seconds=5, layers=(layer,), **figures)  # fmt: skip
    service.ledger.succeed(lease, result)
    assert service.ledger.pace(model).same_model
    assert service.ledger.pace(model).seconds_per_step == pytest.approx(0.1)
    assert not service.ledger.pace("0" * 64).same_model
    assert service.ledger.pace(model, tenant="other") is None
