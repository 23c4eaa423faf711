"""The whole run on real digits: exact zeros, weights that are ternary, accuracy that survives, the same bytes again."""

import copy
import itertools

import pytest
import torch

from examples.digits import digits_8x8, train
from examples.networks import DigitsMLP
from sterna.errors import Cancelled, TrainingDiverged
from sterna.method import (
    Samples,
    Task,
    TernariseConfig,
    Validation,
    classification,
    distillation,
    evaluate,
    find_ternary_layers,
    ternarise,
)
from sterna.method.schedule import LEAST_RECOVERY_STEPS


def run(problem, *, seed=0, on_step=lambda _: "continue", validation=None, **options):
    config = TernariseConfig(**({"target_sparsity": 0.7, "steps": 200} | options))
    task = Task(problem.train, classification(), seed=seed, validation=validation)
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


@pytest.mark.parametrize("seed", [0, 3])
def test_layers_do_not_starve_each_other_at_ninety_five_percent_zeros(seed):
    """Two normalised layers: where one has almost no weights left, gradients before it grow and ask for still more."""
    arrays = digits_8x8()
    torch.manual_seed(0)
    network = DigitsMLP()
    before = train(network, arrays, epochs=60)
    pixels, digits, held_pixels, held_digits = (torch.from_numpy(array) for array in arrays.values())
    task = Task(Samples([pixels], digits, batch_size=64), classification(), seed=seed)
    ternarise(network, find_ternary_layers(network), task, TernariseConfig(target_sparsity=0.95, steps=352))
    after = evaluate(network, Samples([held_pixels], held_digits, batch_size=400), classification())
    assert after > before - 0.05


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


@pytest.mark.parametrize("options", [{}, {"method": "twn"}, {"trials": 2, "gradient": "exact"}])
def test_validation_meets_a_ternary_network_and_the_training_does_not_feel_it(problem, options):
    undisturbed = copy.deepcopy(problem)
    wanted = run(undisturbed, steps=100, **options)
    levels, told = [], []

    def measure(network):
        torch.rand(())
        parameters = dict(network.eval().named_parameters())
        weights = [parameters[layer.name].detach() for layer in problem.layers]
        levels.extend(max(len(row.abs().unique()) for row in weight) for weight in weights)
        return float(len(levels))

    def remember(point):
        told.append((point.step, point.metric))
        return "continue"

    found = run(problem, steps=100, validation=Validation(measure, every=25), on_step=remember, **options)
    for name, (codes, scale) in wanted.layers.items():
        assert torch.equal(codes, found.layers[name][0])
        assert torch.equal(scale, found.layers[name][1])
    assert set(levels) <= {1, 2}  # 0 and the channel's scale
    steps = [step for step, metric in told if metric is not None]
    assert len(steps) >= 3
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(steps))


def test_what_validation_measures_last_is_what_comes_out(problem):
    measured = []

    def measure(network):
        measured.append({name: p.detach().clone() for name, p in network.named_parameters()})
        return 0.0

    run(problem, steps=100, lock_every=1, validation=Validation(measure, every=1))
    assert all(torch.equal(measured[-1][name], p) for name, p in problem.network.named_parameters())


def test_sparsity_rises_with_a_fixed_alpha(problem):
    original = copy.deepcopy(problem.network)
    shares = []
    for alpha in (0.05, 0.15, 0.3, 0.5, 0.8, 1.1, 1.5, 1.9):
        problem.network = copy.deepcopy(original)
        result = run(problem, target_sparsity=0.5, alpha=alpha, steps=60)
        assert result.alpha == pytest.approx(alpha, rel=1e-5)
        shares.append(zeros(result) / problem.weights)
    assert all(first < second for first, second in itertools.pairwise(shares))


def test_sparsity_rises_with_a_fixed_alpha_without_any_estimator(problem):
    original = copy.deepcopy(problem.network)
    shares = []
    for alpha in (0.05, 0.15, 0.3, 0.5, 0.8, 1.1, 1.5, 1.9):
        problem.network = copy.deepcopy(original)
        result = run(problem, target_sparsity=0.5, alpha=alpha, gradient="exact", steps=60)
        shares.append(zeros(result) / problem.weights)
    assert all(first < second for first, second in itertools.pairwise(shares))


def test_without_an_estimator_the_weights_have_reached_their_wells_at_landing(problem):
    near = []

    def look(point):
        near.append(point)
        return "continue"

    result = run(problem, target_sparsity=0.5, alpha=0.4, gradient="exact", steps=600, on_step=look)
    assert evaluate(problem.network, problem.held_out, classification()) > 0.9
    assert near[-1].strength == 0.0
    assert max(point.strength for point in near) > 0.05
    assert not result.stopped


def test_trials_meet_the_target_and_say_what_they_tried(problem):
    seen = []

    def look(point):
        seen.append(point)
        return "continue"

    result = run(problem, target_sparsity=0.7, trials=6, tolerance=0.02, steps=100, on_step=look)
    assert zeros(result) == round(problem.weights * 0.7)
    assert 1 <= len(result.trials) <= 6
    assert result.steps == len(result.trials) * 85 + 15
    assert abs(result.trials[-1].sparsity - 0.7) <= 0.02 or len(result.trials) == 6
    assert seen[-1].steps == 5 * 85 + 100
    assert all(first.step < second.step for first, second in itertools.pairwise(seen))


def test_trials_can_be_stopped_and_still_land_exactly(problem):
    result = run(problem, trials=6, steps=100, on_step=lambda point: "stop" if point.step >= 120 else "continue")
    assert result.stopped
    assert len(result.trials) == 2
    assert zeros(result) == round(problem.weights * 0.7)


def test_rounding_trains_nothing_and_has_the_count(problem):
    before = {name: p.detach().clone() for name, p in problem.network.named_parameters()}
    result = run(problem, method="rounding")
    assert result.steps == 0
    assert zeros(result) == round(problem.weights * 0.7)
    after = dict(problem.network.named_parameters())
    assert torch.equal(after["0.bias"], before["0.bias"])
    codes, scale = result.layers["0.weight"]
    weight = before["0.weight"]
    kept = codes != 0
    assert torch.equal(codes[kept].float(), weight[kept].sign())
    for row in range(len(weight)):
        if kept[row].any():
            assert float(scale[row]) == pytest.approx(float(weight[row][kept[row]].abs().mean()), rel=1e-5)


def test_twn_follows_its_rule(problem):
    weight = problem.network[0].weight.detach().clone()
    result = run(problem, method="twn", steps=2, learning_rate=0.0, scale_learning_rate=0.0)
    codes, scale = result.layers["0.weight"]
    for row in range(len(weight)):
        magnitude = weight[row].abs()
        kept = magnitude > 0.7 * magnitude.mean()
        assert torch.equal(codes[row] != 0, kept)
        assert float(scale[row]) == pytest.approx(float(magnitude[kept].mean()), rel=1e-4)


def test_ttq_follows_its_rule_and_learns_its_scales(problem):
    weight = problem.network[0].weight.detach().clone()
    result = run(problem, method="ttq", steps=100, learning_rate=0.0)
    codes, scale = result.layers["0.weight"]
    magnitude = weight.abs()
    assert torch.equal(codes != 0, magnitude > 0.05 * magnitude.amax(1, keepdim=True))
    first = run(problem, method="ttq", steps=1, learning_rate=0.0).layers["0.weight"][1]
    assert not torch.allclose(scale, first)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_any_precision_are_trained_and_keep_it(problem, dtype):
    problem.network.to(dtype)
    train, held_out = (
        Samples([part.inputs[0].to(dtype)], part.target, batch_size=part.batch_size)
        for part in (problem.train, problem.held_out)
    )
    before = evaluate(problem.network, held_out, classification())
    bias = problem.network[4].bias.detach().clone()
    task = Task(train, classification())
    result = ternarise(problem.network, problem.layers, task, TernariseConfig(target_sparsity=0.7, steps=400))
    assert zeros(result) == round(problem.weights * 0.7)
    assert evaluate(problem.network, held_out, classification()) > before - 0.03
    assert {p.dtype for p in problem.network.parameters()} == {dtype}
    assert not torch.equal(problem.network[4].bias, bias)
    for name, (codes, scale) in result.layers.items():
        assert torch.equal(dict(problem.network.named_parameters())[name], (codes * scale).to(dtype))
