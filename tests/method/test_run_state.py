"""A run that goes on from its state computes what it would have computed; a state that is not its own is refused."""

import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sterna.errors import CheckpointRejected
from sterna.method import Task, TernariseConfig, classification, ternarise

SCRIPT = Path(__file__).with_name("interrupted_runs.py")


def script(mode, folder):
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), mode, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_way_goes_on_in_a_fresh_process_to_the_same_bits(tmp_path):
    whole = script("whole", tmp_path)
    resumed = script("resumed", tmp_path)

    assert {name.split("@")[0] for name in resumed} == set(whole)
    assert len(resumed) == 10 * 8 + 2 * 10  # the last steps are there only where there are trials
    assert {name: result for name, result in resumed.items() if result != whole[name.split("@")[0]]} == {}


CONFIG = TernariseConfig(target_sparsity=0.7, steps=60)


def go(problem, config=CONFIG, **more):
    return ternarise(problem.network, problem.layers, Task(problem.train, classification()), config, **more)


class Stop(Exception):
    pass


def state_at(problem, step, config=CONFIG):
    """The state before a step of a run of which nothing else is left."""
    kept = []

    def checkpoint(state):
        if state().step == step:
            kept.append(state().copied())
            raise Stop

    whole = problem.network
    problem.network = copy.deepcopy(whole)
    with pytest.raises(Stop):
        go(problem, config, checkpoint=checkpoint)
    problem.network = whole
    return kept[0]


def test_a_state_that_was_copied_stays_as_it_was(problem):
    kept = []
    go(problem, checkpoint=lambda state: kept.append(state().copied()) if not kept else None)
    assert kept[0].step == 0
    assert not torch.equal(kept[0].tensors["network/0.bias"], dict(problem.network.named_parameters())["0.bias"])


def test_no_state_is_made_unless_it_is_asked_for(problem):
    offered = []
    go(problem, checkpoint=offered.append)
    assert len(offered) == 60


def test_steps_go_on_where_they_were_and_a_stop_in_the_search_is_remembered(problem):
    def order(point):
        return "stop" if point.phase == "search" and point.step >= 20 else "continue"

    kept, config = [], TernariseConfig(target_sparsity=0.7, steps=1000)
    network = copy.deepcopy(problem.network)

    def checkpoint(state):
        if not kept and state().phase == "recover" and state().step >= 40:
            kept.append(state().copied())

    stopped = go(problem, config, on_step=order, checkpoint=checkpoint)
    problem.network, steps = network, []
    resumed = go(problem, config, resume=kept[0], on_step=lambda point: steps.append(point.step) or "continue")

    assert (resumed.steps, resumed.stopped) == (stopped.steps, True)
    assert min(steps) > 40
    for name, (codes, scale) in stopped.layers.items():
        assert torch.equal(codes, resumed.layers[name][0])
        assert torch.equal(scale, resumed.layers[name][1])


def put(name, value):
    return lambda state: state.tensors | {name: value(state.tensors[name])}


def without(name):
    return lambda state: {other: tensor for other, tensor in state.tensors.items() if other != name}


def nan(tensor):
    spoilt = tensor.clone()
    spoilt.view(-1)[0] = torch.nan
    return spoilt


@pytest.mark.parametrize(
    ("step", "spoil", "words"),
    [
        (20, put("v", lambda v: v[:-1]), "the run has torch.float32 of shape"),
        (20, put("v", lambda v: v.double()), "torch.float64"),
        (20, put("v", nan), "NaN"),
        (20, put("network/1.running_var", nan), "NaN"),
        (20, put("adam/0/exp_avg_sq", lambda m: -m), "outside"),
        (20, put("adam/0/exp_avg", nan), "NaN"),
        (20, put("threshold", lambda t: -t), "outside"),
        (20, put("sensitivity", lambda g: g[:1]), "shape"),
        (20, put("random/torch", torch.zeros_like), "no state of a generator"),
        (20, put("random/epoch", lambda s: s[:-1]), "shape"),
        (55, put("codes", lambda c: c + 1), "outside"),
        (20, without("v"), "no 'v'"),
        (20, without("adam/0/exp_avg"), "no 'adam/0/exp_avg'"),
        (20, lambda state: state.tensors | {"more": torch.zeros(1)}, "'more', which the run does not"),
    ],
)  # fmt: skip
def test_tensors_that_are_not_the_runs_are_refused_and_nothing_changes(problem, step, spoil, words):
    state = state_at(problem, step)
    before = copy.deepcopy(problem.network.state_dict())
    spoilt = dataclasses.replace(state, tensors=spoil(state))

    with pytest.raises(CheckpointRejected, match=words) as caught:
        go(problem, resume=spoilt)

    assert caught.value.hint
    assert all(torch.equal(tensor, before[name]) for name, tensor in problem.network.state_dict().items())


@pytest.mark.parametrize(
    ("step", "numbers", "words"),
    [
        (20, {"step": 51}, "no state of this run"),
        (20, {"step": -1}, "no state of this run"),
        (20, {"searched": 3}, "no state of this run"),
        (20, {"trial_alpha": 0.5}, "no state of this run"),
        (20, {"steps_before": 5}, "no state of this run"),
        (20, {"micro_batch": 0}, "no state of this run"),
        (20, {"micro_batch": 65}, "no state of this run"),
        (20, {"drawn": 10**6}, "batches of an epoch"),
        (20, {"drawn": -1}, "batches of an epoch"),
        (20, {"phase": "recover"}, "no state of this run"),
        (55, {"phase": "search"}, "no state of this run"),
        (55, {"searched": 0}, "no state of this run"),
        (55, {"step": 60}, "no state of this run"),
    ],
)
def test_numbers_that_no_state_of_the_run_has_are_refused(problem, step, numbers, words):
    state = dataclasses.replace(state_at(problem, step), **numbers)
    with pytest.raises(CheckpointRejected, match=words):
        go(problem, resume=state)


@pytest.mark.parametrize(
    "numbers", [{"trial_alpha": None}, {"trial_alpha": 2.0}, {"trial_alpha": -1.0}, {"steps_before": 1}]
)
def test_numbers_of_trials_are_looked_at_too(problem, numbers):
    config = TernariseConfig(target_sparsity=0.7, steps=60, trials=3, gradient="exact")
    state = dataclasses.replace(state_at(problem, 20, config), **numbers)
    with pytest.raises(CheckpointRejected, match="no state of this run"):
        go(problem, config, resume=state)


def test_a_run_with_another_configuration_is_refused_by_the_name_of_what_differs(problem):
    state = state_at(problem, 20)
    with pytest.raises(CheckpointRejected, match="another steps, target_sparsity"):
        go(problem, TernariseConfig(target_sparsity=0.6, steps=61), resume=state)


def test_after_a_refusal_the_run_begins_as_if_nothing_had_been(problem):
    state = state_at(problem, 20)
    network = copy.deepcopy(problem.network)
    undisturbed = go(problem)
    problem.network = network
    with pytest.raises(CheckpointRejected):
        go(problem, resume=dataclasses.replace(state, drawn=-1))
    again = go(problem)
    for name, (codes, scale) in undisturbed.layers.items():
        assert torch.equal(codes, again.layers[name][0])
        assert torch.equal(scale, again.layers[name][1])
