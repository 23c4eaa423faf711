import pytest

from api_schemas import JobErrorInfo
from api_schemas.jobs import Metric
from api_schemas.sweeps import SweepSpec
from sterna.errors import NotFound, QuotaExceeded
from storage.once import Repeatable, Replay


def new_spec(desk, *targets, **fields) -> SweepSpec:
    return SweepSpec(model=desk.spec().model, targets=targets, **fields)


def finish(desk, ledger, job_id, result, *, bytes_, drop):
    metric = Metric(name="accuracy", baseline=0.9, ternary=0.9 - drop, drop=drop)
    lease = desk.claim(ledger.job(job_id))
    assert ledger.succeed(lease, result.model_copy(update={"artifact_bytes": bytes_, "metric": metric}))


def test_a_job_for_each_target(desk, ledger):
    sweep, jobs = ledger.create_sweep(new_spec(desk, 0.9, 0.5, 0.7, seed=3, labels={"a": "b"}))
    assert [job.spec.target_sparsity for job in jobs] == [0.9, 0.5, 0.7]
    assert [(point.target_sparsity, point.state) for point in sweep.points] == [
        (0.5, "queued"), (0.7, "queued"), (0.9, "queued"),
    ]  # fmt: skip
    assert {(job.spec.seed, job.sweep_id, tuple(job.labels.items())) for job in jobs} == {(3, sweep.id, (("a", "b"),))}
    assert ledger.sweep(sweep.id) == sweep
    assert (sweep.state, sweep.labels) == ("running", {"a": "b"})


def test_the_points_that_no_other_beats_in_both_size_and_loss(desk, ledger, result):
    sweep, _ = ledger.create_sweep(new_spec(desk, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95))
    by_target = {point.target_sparsity: point.job_id for point in sweep.points}
    # (bytes, drop): 0.6 is larger and worse than 0.7; 0.9 has the size of 0.8 and loses more.
    for target, bytes_, drop in ((0.5, 100, -0.01), (0.6, 90, 0.05), (0.7, 80, 0.0), (0.8, 60, 0.1), (0.9, 60, 0.2)):
        finish(desk, ledger, by_target[target], result, bytes_=bytes_, drop=drop)
    ledger.fail(desk.claim(ledger.job(by_target[0.95])), JobErrorInfo(code="OUT_OF_MEMORY", message="m"))
    found = ledger.sweep(sweep.id)
    assert found.state == "finished"
    assert [point.target_sparsity for point in found.points if point.pareto] == [0.5, 0.7, 0.8]
    assert [point.state for point in found.points] == ["succeeded"] * 5 + ["failed"]
    assert found.points[2].metric.drop == 0.0


def test_all_jobs_or_none(desk, ledger):
    with pytest.raises(QuotaExceeded):
        ledger.create_sweep(new_spec(desk, 0.5, 0.6, 0.7), most_queued=2)
    with pytest.raises(NotFound):
        ledger.create_sweep(new_spec(desk, 0.5, 0.6), tenant="other")
    assert ledger.jobs().jobs == ()


def test_a_sweep_is_made_once_and_is_its_tenants(desk, ledger):
    request = Repeatable("local", "POST /v1/sweeps", "k", "f")
    sweep, _ = ledger.create_sweep(new_spec(desk, 0.5), turn=ledger.take_turn(request, hold_s=60))
    replay = ledger.take_turn(request, hold_s=60)
    assert isinstance(replay, Replay)
    assert type(sweep).model_validate_json(replay.body) == sweep
    for tenant, sweep_id in (("other", sweep.id), ("local", "swp_" + "0" * 32), ("local", "x\x00")):
        with pytest.raises(NotFound):
            ledger.sweep(sweep_id, tenant=tenant)


@pytest.mark.parametrize("targets", [(), (0.5, 0.5), (0.0,), (1.0,), tuple(n / 100 for n in range(1, 70))])
def test_targets_that_make_no_sweep(targets):
    with pytest.raises(ValueError, match="targets"):
        SweepSpec(model="upl_" + "0" * 32, targets=targets)
