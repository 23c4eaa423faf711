import pytest
from sqlalchemy import text

from api_schemas import JobErrorInfo
from api_schemas.jobs import Metric, TrialReport
from api_schemas.sweeps import MOST_ROUNDS, SweepSpec
from sterna.errors import Conflict, NotFound, QuotaExceeded
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


def test_a_sweep_goes_with_the_last_of_its_jobs(desk, ledger):
    sweep, jobs = ledger.create_sweep(new_spec(desk, 0.5, 0.6))
    for job in jobs:
        assert ledger.sweep(sweep.id).points
        ledger.request(job.id, "cancel")
        ledger.delete_job(job.id)
    with pytest.raises(NotFound):
        ledger.sweep(sweep.id)


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


def in_rounds(desk, *targets, **fields) -> SweepSpec:
    return new_spec(desk, *targets, search={"strategy": "trials"}, side_by_side=3, **fields)


def end(desk, ledger, result, curve=None):
    """Ends every job that waits: with what the curve says of its α, or in failure."""
    for job in ledger.jobs().jobs:
        if job.state == "queued":
            lease, alpha = desk.claim(job), job.spec.search.alpha
            if curve is None:
                assert ledger.fail(lease, JobErrorInfo(code="OUT_OF_MEMORY", message="m"))
            else:
                trials = (TrialReport(alpha=alpha, sparsity=curve(alpha)),)
                assert ledger.succeed(lease, result.model_copy(update={"trials": trials}))


def test_rounds_of_trials_until_every_target_is_met(desk, ledger, result):
    sweep, jobs = ledger.create_sweep(in_rounds(desk, 0.5, 0.7, tolerance=0.01))
    assert [(point.target_sparsity, point.round) for point in sweep.points] == [(0.5, 1)] * 3 + [(0.7, 1)] * 3
    assert {(job.spec.search.strategy, job.sweep_id) for job in jobs} == {("trials", sweep.id)}
    assert ledger.plan_rounds() == ()  # the first is at work
    rounds = 1
    while True:
        end(desk, ledger, result, lambda alpha: (alpha / 2) ** 0.55)
        assert ledger.sweep(sweep.id).state == "running"  # what follows is not known yet
        groups = ledger.plan_rounds()
        if not groups:
            break
        rounds += 1
        (group,) = groups
        assert {m.job_id for m in group} == {j.id for j in ledger.jobs().jobs if j.state == "queued"}
        assert ledger.due(older_than_s=60, limit=10) == ()  # they count as sent
    found = ledger.sweep(sweep.id)
    assert (found.state, found.ended_because) == ("finished", None)
    assert 2 <= rounds <= 3
    for target in (0.5, 0.7):
        points = [point for point in found.points if point.target_sparsity == target]
        assert [p.trial_alpha for p in points] == sorted(p.trial_alpha for p in points)
        (nearest,) = [point for point in points if point.nearest]
        assert abs(nearest.trial_sparsity - target) == min(abs(p.trial_sparsity - target) for p in points) <= 0.01
    assert ledger.plan_rounds() == ()


def test_a_target_that_cannot_be_met_ends_after_its_last_round(desk, ledger, result):
    sweep, _ = ledger.create_sweep(in_rounds(desk, 0.5, tolerance=0.0))
    for _ in range(MOST_ROUNDS):
        end(desk, ledger, result, lambda alpha: 0.1 if alpha < 0.6 else 0.9)
        ledger.plan_rounds()
    found = ledger.sweep(sweep.id)
    assert found.state == "finished"
    assert sorted({point.round for point in found.points}) == [1, 2, 3]


def test_a_round_in_which_nothing_succeeded_is_the_last(desk, ledger, result):
    sweep, _ = ledger.create_sweep(in_rounds(desk, 0.5))
    end(desk, ledger, result)
    assert ledger.plan_rounds() == ()
    assert ledger.sweep(sweep.id).state == "finished"


def test_trials_that_were_cancelled_or_deleted_are_done_without(desk, ledger, result):
    sweep, jobs = ledger.create_sweep(in_rounds(desk, 0.5))
    for job in jobs[:2]:
        ledger.request(job.id, "cancel")
    ledger.delete_job(jobs[0].id)
    end(desk, ledger, result, lambda _: 0.3)
    ((*messages,),) = ledger.plan_rounds()
    assert len(messages) == 3
    assert len(ledger.sweep(sweep.id).points) == 5


def test_a_round_that_the_tenant_may_not_have_ends_the_sweep_and_says_why(desk, ledger, result):
    sweep, _ = ledger.create_sweep(in_rounds(desk, 0.5), most_queued=3)
    end(desk, ledger, result, lambda _: 0.3)
    assert ledger.plan_rounds(most_queued=2) == ()
    found = ledger.sweep(sweep.id)
    assert (found.state, len(found.points)) == ("finished", 3)
    assert "round 2 was not made" in found.ended_because
    assert ledger.plan_rounds() == ()


def test_a_cancelled_sweep_throws_all_its_jobs_away(desk, ledger, result):
    sweep, (done, running, waiting) = ledger.create_sweep(new_spec(desk, 0.5, 0.6, 0.7))
    other = desk.submit()
    finish(desk, ledger, done.id, result, bytes_=1, drop=0.0)
    lease = desk.claim(running)
    for _ in range(2):  # asking again changes nothing
        found = ledger.request_sweep(sweep.id, "cancel")
        assert (found.state, [point.state for point in found.points]) == (
            "running", ["succeeded", "running", "cancelled"],
        )  # fmt: skip
        assert ledger.renew(lease, lease_s=60) == "cancel"
    assert desk.states(waiting) == ["queued", "cancelled"]
    assert ledger.cancelled(lease)
    assert ledger.sweep(sweep.id).state == "finished"
    assert ledger.sweep(sweep.id).ended_because is None  # it has no rounds
    assert ledger.job(other.id).state == "queued"


def test_a_stopped_sweep_keeps_the_best_of_what_runs(desk, ledger, result):
    sweep, (running, doomed, waiting) = ledger.create_sweep(new_spec(desk, 0.5, 0.6, 0.7))
    leases = [desk.claim(running), desk.claim(doomed)]
    ledger.request(doomed.id, "cancel")
    for _ in range(2):
        found = ledger.request_sweep(sweep.id, "stop")
        assert [point.state for point in found.points] == ["running", "running", "cancelled"]
        assert [ledger.renew(lease, lease_s=60) for lease in leases] == ["stop", "cancel"]
    assert desk.states(waiting) == ["queued", "cancelled"]
    assert ledger.succeed(leases[0], result)
    assert ledger.cancelled(leases[1])
    assert ledger.sweep(sweep.id).state == "finished"


@pytest.mark.parametrize(("order", "why"), [("cancel", "the sweep was cancelled"), ("stop", "the sweep was stopped")])
def test_no_round_follows_in_a_sweep_that_was_asked_to_end(desk, ledger, result, order, why):
    at_work, jobs = ledger.create_sweep(in_rounds(desk, 0.5))
    leases = [desk.claim(job) for job in jobs]
    assert ledger.request_sweep(at_work.id, order).state == "running"
    trials = (TrialReport(alpha=0.5, sparsity=0.3),)
    ends = [ledger.succeed(lease, result.model_copy(update={"trials": trials})) for lease in leases]
    assert ends == [True] * 3  # what was to be thrown away ends as cancelled
    between, _ = ledger.create_sweep(in_rounds(desk, 0.5))
    end(desk, ledger, result, lambda _: 0.3)
    assert ledger.sweep(between.id).state == "running"
    assert ledger.request_sweep(between.id, order).state == "finished"
    assert ledger.plan_rounds() == ()
    for sweep in (at_work, between):
        found = ledger.sweep(sweep.id)
        assert (found.state, len(found.points), found.ended_because) == ("finished", 3, why)


@pytest.mark.parametrize("order", ["cancel", "stop"])
def test_a_sweep_that_has_ended_takes_no_order(desk, ledger, order):
    sweep, _ = ledger.create_sweep(new_spec(desk, 0.5, 0.6))
    ledger.request_sweep(sweep.id, order)
    before = ledger.sweep(sweep.id)
    with pytest.raises(Conflict, match="finished; only a sweep that is running"):
        ledger.request_sweep(sweep.id, order)
    assert ledger.sweep(sweep.id) == before


def test_a_deleted_sweep_is_gone_with_all_its_jobs(desk, ledger):
    spec = new_spec(desk, 0.5, 0.6, labels={"a": "b"})
    sweep, jobs = ledger.create_sweep(spec)
    other, other_jobs = ledger.create_sweep(new_spec(desk, 0.5))
    sharing, _ = ledger.create_sweep(spec)
    ledger.request_sweep(sweep.id, "cancel")
    assert ledger.delete_sweep(sweep.id) == ("ab" * 32,)
    for gone in (ledger.sweep, ledger.delete_sweep, lambda one: ledger.request_sweep(one, "cancel")):
        with pytest.raises(NotFound):
            gone(sweep.id)
    for job in jobs:
        with pytest.raises(NotFound):
            ledger.job(job.id)
    with ledger.read() as connection:
        for table in ("events", "job_labels", "job_logs", "job_blobs"):
            rows = connection.execute(text(f"SELECT count(*) FROM {table} WHERE job_id = :id"), {"id": jobs[0].id})  # noqa: S608
            assert rows.scalar_one() == 0
    assert ledger.upload(spec.model).complete  # another sweep uses it
    ledger.request_sweep(sharing.id, "cancel")
    ledger.delete_sweep(sharing.id)
    with pytest.raises(NotFound):
        ledger.upload(spec.model)
    assert ledger.upload(other_jobs[0].spec.model).complete
    assert ledger.sweep(other.id).state == "running"


def test_a_sweep_that_goes_on_is_not_deleted(desk, ledger, result):
    waits, _ = ledger.create_sweep(new_spec(desk, 0.5, 0.6))
    ledger.request(waits.points[0].job_id, "cancel")
    between, _ = ledger.create_sweep(in_rounds(desk, 0.5))
    for job in ledger.jobs().jobs:
        if job.sweep_id == between.id:
            trials = (TrialReport(alpha=job.spec.search.alpha, sparsity=0.3),)
            assert ledger.succeed(desk.claim(job), result.model_copy(update={"trials": trials}))
    for sweep in (waits, between):  # a job waits; all have ended, and another round may follow
        before = ledger.sweep(sweep.id)
        with pytest.raises(Conflict, match="only a sweep that has ended can be deleted"):
            ledger.delete_sweep(sweep.id)
        assert ledger.sweep(sweep.id) == before
        assert ledger.upload(ledger.job(before.points[0].job_id).spec.model).complete


def test_another_tenants_sweep_is_not_there(desk, ledger):
    spec = SweepSpec(model=desk.spec(tenant="other").model, targets=(0.5,))
    sweep, _ = ledger.create_sweep(spec, tenant="other")
    for sweep_id in (sweep.id, "swp_" + "0" * 32, "x\x00"):
        for order in ("cancel", "stop"):
            with pytest.raises(NotFound):
                ledger.request_sweep(sweep_id, order)
        with pytest.raises(NotFound):
            ledger.delete_sweep(sweep_id)
    assert ledger.sweep(sweep.id, tenant="other") == sweep


@pytest.mark.parametrize("search", [{}, {"strategy": "fixed", "alpha": 0.5}, {"strategy": "trials", "alpha": 0.5}])
def test_only_trials_without_an_alpha_go_side_by_side(search):
    with pytest.raises(ValueError, match="side_by_side is given only with"):
        SweepSpec(model="upl_" + "0" * 32, targets=(0.5,), search=search, side_by_side=2)
