"""The whole run on real digits: exact zeros, weights that are ternary, accuracy that survives, the same bytes again."""

import copy
import itertools

import pytest
import torch

from sterna.errors import Cancelled, TrainingDiverged
from sterna.method import (
    Samples,
    Task,
    TernariseConfig,
    classification,
    distillation,
    evaluate,
    ternarise,
)
from sterna.method.schedule import LEAST_RECOVERY_STEPS


def run(problem, *, seed=0, on_step=lambda _: "continue", **options):
    config = TernariseConfig(**({"target_sparsity": 0.7, "steps": 200} | options))
    task = Task(problem.train, classification(), seed=seed)
    return ternarise(problem.network, problem.layers, task, config, on_step=on_step)


def zeros(result):
    return sum(int((codes == 0).sum()) for codes, _ in result.layers.values())


@pytest.mark.parametrize("method", ["sca", "ste"])
@pytest.mark.parametrize("granularity", ["global", "layer"])
@pytest.mark.parametrize("target", [0.01, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_the_count_of_zeros_is_the_one_asked_for(problem, target, granularity, method):
    result = run(problem, target_sparsity=target, granularity=granularity, method=method, steps=40)
    if granularity == "global":
        assert zeros(result) == round(problem.weights * target)
    for codes, _ in result.layers.values():
        if granularity == "layer":
            assert int((codes == 0).sum()) == round(codes.numel() * target)


def test_the_network_carries_exactly_scale_times_code(problem):
    result = run(problem, steps=40)
    parameters = dict(problem.network.named_parameters())
    for name, (codes, scale) in result.layers.items():
        assert codes.dtype == torch.int8
        assert set(codes.unique().tolist()) == {-1, 0, 1}
        assert scale.shape == (codes.shape[0], 1)
        assert bool((scale > 0).all())
        assert torch.equal(parameters[name], codes * scale)


def test_accuracy_survives_ninety_percent_zeros(problem):
    before = evaluate(problem.network, problem.held_out, classification())
    run(problem, target_sparsity=0.9, steps=2400)
    after = evaluate(problem.network, problem.held_out, classification())
    assert before > 0.93
    assert after > before - 0.04


def test_the_sparsity_is_at_the_target_at_every_locked_step_after_the_homotopy(problem):
    seen = []

    def remember(point):
        seen.append(point)
        return "continue"

    run(problem, target_sparsity=0.8, steps=300, lock_every=1, on_step=remember)
    landed = [point.sparsity for point in seen if point.phase == "recover"]
    search = [point.sparsity for point in seen if point.phase == "search"]
    assert all(value == pytest.approx(0.8, abs=1e-4) for value in landed)
    assert max(abs(value - 0.8) for value in search[60:]) < 0.05  # one step moves few weights across
    assert [point.step for point in seen] == list(range(1, 301))


def test_sparsity_rises_with_a_fixed_alpha(problem):
    original = copy.deepcopy(problem.network)
    shares = []
    for alpha in (0.05, 0.15, 0.3, 0.5, 0.8, 1.1, 1.5, 1.9):
        problem.network = copy.deepcopy(original)
        result = run(problem, target_sparsity=0.5, alpha=alpha, steps=60)
        assert result.alpha == pytest.approx(alpha, rel=1e-5)
        shares.append(zeros(result) / problem.weights)
    assert all(first < second for first, second in itertools.pairwise(shares))


def test_the_same_seed_gives_the_same_codes_and_scales(problem):
    original = copy.deepcopy(problem.network)
    first = run(problem, steps=60, seed=3)
    problem.network = original
    second = run(problem, steps=60, seed=3)
    for name, (codes, scale) in first.layers.items():
        assert torch.equal(codes, second.layers[name][0])
        assert torch.equal(scale, second.layers[name][1])


def test_stopping_lands_exactly_and_says_so(problem):
    result = run(problem, steps=1000, on_step=lambda point: "stop" if point.step >= 50 else "continue")
    assert result.stopped
    assert 50 <= result.steps <= 50 + 10 + LEAST_RECOVERY_STEPS
    assert evaluate(problem.network, problem.held_out, classification()) > 0.85
    assert zeros(result) == round(problem.weights * 0.7)


def test_a_stop_in_the_recovery_ends_it(problem):
    def order(point):
        return "stop" if point.phase == "recover" else "continue"

    result = run(problem, steps=1000, on_step=order)
    assert result.stopped
    assert result.steps == 851
    assert zeros(result) == round(problem.weights * 0.7)


def test_cancelling_ends_the_run(problem):
    with pytest.raises(Cancelled):
        run(problem, on_step=lambda _: "cancel")


def test_a_loss_that_is_not_a_number_is_an_error(problem):
    broken = problem.train.inputs[0].clone()
    broken[:] = float("nan")
    problem.train = Samples([broken], problem.train.target, batch_size=64)
    with pytest.raises(TrainingDiverged, match="nan at step 1 of 200"):
        run(problem)


def test_a_layer_of_zeros_does_no_harm(problem):
    with torch.no_grad():
        problem.network[0].weight.zero_()
    result = run(problem, target_sparsity=0.5, steps=40)
    assert zeros(result) == round(problem.weights * 0.5)
    assert all(bool(torch.isfinite(scale).all()) for _, scale in result.layers.values())


def test_distillation_without_labels_agrees_with_the_original(problem):
    teacher = copy.deepcopy(problem.network).eval()
    train = Samples(problem.train.inputs, None, batch_size=64)
    held_out = Samples(problem.held_out.inputs, None, batch_size=128)
    objective = distillation(logits=True)
    config = TernariseConfig(target_sparsity=0.7, steps=300)
    ternarise(problem.network, problem.layers, Task(train, objective, teacher), config)
    assert evaluate(problem.network, held_out, objective, teacher) > 0.93
