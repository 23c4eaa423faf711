"""bfloat16 in training steps and nowhere else: tried on a CPU, which computes in it as a GPU would, only slower."""

import copy

import pytest
import torch
from torch import nn

from sterna.method import Task, TernariseConfig, classification, evaluate, ternarise
from sterna.method import precision as precision_module
from sterna.method.precision import choose_precision, runs_in_bf16

STEPS = 150


class Spy(nn.Module):
    """Writes down in which types it is called, in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def forward(self, x):
        self.seen.add(("train" if self.training and x.requires_grad else "other", x.dtype))
        return x


def run(problem, precision):
    config = TernariseConfig(target_sparsity=0.7, steps=STEPS, precision=precision)
    return ternarise(problem.network, problem.layers, Task(problem.train, classification()), config)


def test_steps_compute_in_bf16_and_everything_else_in_float32(problem):
    problem.network.append(Spy())
    done = run(problem, "bf16")
    accuracy = evaluate(problem.network, problem.held_out, classification())
    spy = problem.network[-1]
    assert {dtype for when, dtype in spy.seen if when == "train"} == {torch.bfloat16}
    assert {dtype for when, dtype in spy.seen if when == "other"} == {torch.float32}  # statistics, evaluation
    assert done.precision == "bf16"
    assert {p.dtype for p in problem.network.parameters()} == {torch.float32}
    assert all(scale.dtype == torch.float32 for _, scale in done.layers.values())
    zeros = sum(int((codes == 0).sum()) for codes, _ in done.layers.values())
    assert zeros == round(0.7 * problem.weights)
    assert accuracy > 0.8


def test_it_costs_little_accuracy(problem):
    other = copy.deepcopy(problem)
    run(problem, "float32")
    run(other, "bf16")
    exact, coarse = (evaluate(p.network, p.held_out, classification()) for p in (problem, other))
    assert abs(exact - coarse) < 0.03


def test_auto_on_a_processor_is_float32_to_the_bit(problem):
    other = copy.deepcopy(problem)
    done, same = run(problem, "auto"), run(other, "float32")
    assert done.precision == same.precision == "float32"
    assert all(torch.equal(done.layers[name][0], codes) for name, (codes, _) in same.layers.items())
    for name, tensor in other.network.state_dict().items():
        assert torch.equal(problem.network.state_dict()[name], tensor)


class Overflowing(nn.Module):
    def forward(self, x):
        return x / 0.0


@pytest.mark.parametrize(
    ("last", "runs"),
    [(nn.Identity(), True), (Overflowing(), False), (nn.Linear(10, 10).to(torch.float16), False)],
)
def test_auto_asks_the_network(problem, monkeypatch, last, runs):
    monkeypatch.setattr(precision_module, "_has_bf16", lambda _: True)
    network, batch = problem.network.append(last), next(problem.train.in_order())
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    assert runs_in_bf16(network, batch) is runs
    assert choose_precision("auto", network, batch) == ("bf16" if runs else "float32")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_network_that_fails_in_bf16_is_trained_in_float32(problem):
    class Strict(nn.Module):
        def forward(self, x):
            if x.dtype != torch.float32:
                raise RuntimeError("expected scalar type Float but found BFloat16")
            return x

    assert not runs_in_bf16(problem.network.append(Strict()), next(problem.train.in_order()))


def test_memory_that_runs_out_while_asking_is_no_answer(problem):
    class Starved(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError(f"{x.shape}")

    with pytest.raises(torch.OutOfMemoryError):
        runs_in_bf16(problem.network.append(Starved()), next(problem.train.in_order()))
