"""Parts of a batch against the whole of it, and memory that runs out: by a hook, and for real."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from sterna.errors import OutOfMemory
from sterna.method import (
    Samples,
    Task,
    TernariseConfig,
    TernaryLayer,
    classification,
    distillation,
    regression,
    ternarise,
)
from sterna.method.batches import Batch
from sterna.method.gradient import PARTS, BatchGradient, parts_of

CONFIG = TernariseConfig(target_sparsity=0.6, steps=60)
LAYERS = [TernaryLayer("0.weight"), TernaryLayer("2.weight")]


class Narrow(nn.Module):
    """Stands for a machine on which a network runs out of memory above a number of samples."""

    def __init__(self, most, error=torch.OutOfMemoryError):
        super().__init__()
        self.most, self.error, self.widest = most, error, 0

    def forward(self, x):
        if self.training and len(x) > self.most:
            raise self.error(f"{len(x)} samples")
        self.widest = max(self.widest, len(x))
        return x


def network(*before, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 5), *before)


def samples(*, size=200, fixed=False):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, 16, generator=generator)
    return Samples([x], torch.randint(0, 5, (size,), generator=generator), batch_size=64, fixed=fixed)


def gradients(net):
    return {name: p.grad.clone() for name, p in net.named_parameters()}


@pytest.mark.parametrize("size", [1, 3, 16, 63, 64, 100])
@pytest.mark.parametrize("kind", ["classification", "regression", "distillation"])
def test_parts_give_the_gradient_of_the_whole_batch(kind, size):
    """Without batch normalisation and dropout; torch's own gradient of the whole is the oracle."""
    objective = {
        "classification": classification(),
        "regression": regression(),
        "distillation": distillation(logits=True),
    }[kind]
    net = network()
    batch = next(samples().in_order())
    target = batch.target if kind == "classification" else torch.randn(64, 5)
    batch = Batch(batch.inputs, target, 64)

    whole = objective.loss(net(*batch.inputs), target)
    whole.backward()
    wanted = gradients(net)
    gradient = BatchGradient(net.zero_grad, divisible=True, micro_batch=size)
    loss = gradient.take(batch, lambda part: objective.loss(net(*part.inputs), part.target))

    torch.testing.assert_close(loss, whole.detach(), rtol=1e-5, atol=1e-6)
    for name, found in gradients(net).items():
        torch.testing.assert_close(found, wanted[name], rtol=1e-4, atol=1e-6)


def test_every_sample_is_in_one_part():
    batch = Batch((torch.arange(10)[:, None], torch.arange(10)), torch.arange(10), 10)
    parts = list(parts_of(batch, 4))
    assert [(part.count, share) for part, share in parts] == [(4, 0.4), (4, 0.4), (2, 0.2)]
    assert torch.equal(torch.cat([part.target for part, _ in parts]), batch.target)
    assert all(torch.equal(part.inputs[0][:, 0], part.inputs[1]) for part, _ in parts)
    assert next(parts_of(Batch((torch.ones(2, 1),), None, 2), 2))[0].target is None


def test_while_memory_suffices_nothing_is_different():
    """To the bit: this is the step that there was before."""
    net, batch = network(), next(samples().in_order())
    functional.cross_entropy(net(*batch.inputs), batch.target).backward()
    wanted = gradients(net)
    gradient = BatchGradient(net.zero_grad, divisible=True)
    gradient.take(batch, lambda part: functional.cross_entropy(net(*part.inputs), part.target))
    assert all(torch.equal(found, wanted[name]) for name, found in gradients(net).items())
    assert gradient.micro_batch is None


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError,
        MemoryError,
        lambda text: RuntimeError(
            f"[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: {text}"
        ),
    ],
)
def test_a_run_that_is_out_of_memory_goes_on_in_parts_and_lands_where_parts_would_have(error):
    narrow, free = Narrow(20, error), network()
    run = ternarise(network(narrow), LAYERS, Task(samples(), classification()), CONFIG)
    as_wished = TernariseConfig(target_sparsity=0.6, steps=60, micro_batch=16)
    wished = ternarise(free, LAYERS, Task(samples(), classification()), as_wished)
    assert run.micro_batch == wished.micro_batch == 64 // PARTS
    for name, (codes, scale) in wished.layers.items():
        assert torch.equal(run.layers[name][0], codes)
        assert torch.equal(run.layers[name][1], scale)
    zeros = sum(int((codes == 0).sum()) for codes, _ in run.layers.values())
    assert zeros == round(0.6 * (16 * 24 + 24 * 5))


def test_what_a_failed_backward_pass_left_is_forgotten():
    """The last layer has its gradient when memory runs out in the first; it must not count twice."""

    def starved(gradient):
        if len(gradient) > 20:
            raise torch.OutOfMemoryError(f"{len(gradient)} samples")

    net = network()
    batch = next(samples().in_order())
    functional.cross_entropy(net(*batch.inputs), batch.target).backward()
    wanted = gradients(net)
    net[0].register_forward_hook(lambda _module, _inputs, output: output.register_hook(starved) and None)
    gradient = BatchGradient(net.zero_grad, divisible=True)
    gradient.take(batch, lambda part: functional.cross_entropy(net(*part.inputs), part.target))
    assert gradient.micro_batch == 16
    for name, found in gradients(net).items():
        torch.testing.assert_close(found, wanted[name], rtol=1e-4, atol=1e-6)


def test_the_second_time_it_is_the_jobs_typed_failure():
    with pytest.raises(OutOfMemory, match="even over 16 of its 64 samples") as failed:
        ternarise(network(Narrow(15)), LAYERS, Task(samples(), classification()), CONFIG)
    assert "more memory" in failed.value.hint


def test_a_network_that_takes_no_parts_fails_at_once():
    with pytest.raises(OutOfMemory, match="64 samples, which the network takes at once") as failed:
        ternarise(network(Narrow(20)), LAYERS, Task(samples(fixed=True), classification()), CONFIG)
    assert "dynamic batch axis" in failed.value.hint


def test_other_errors_are_not_mistaken_for_it():
    with pytest.raises(RuntimeError, match="64 samples"):
        ternarise(network(Narrow(20, RuntimeError)), LAYERS, Task(samples(), classification()), CONFIG)


STARVED = """
import resource, torch
from torch import nn
from sterna.method import Samples, Task, TernariseConfig, TernaryLayer, regression, ternarise
torch.set_num_threads(1)

class Wide(nn.Module):
    def forward(self, x):  # 2 MiB a sample, and as much for its gradient
        return (x[:, :, None].expand(-1, -1, 2**15) * 1.0).tanh().mean(2)

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 16), Wide())
x = torch.randn(128, 16)
task = Task(Samples([x], x, batch_size=64), regression())
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 250 * 2**20,) * 2)
run = ternarise(net, [TernaryLayer("0.weight")], task, TernariseConfig(target_sparsity=0.5, steps=4))
print(run.micro_batch, int((run.layers["0.weight"][0] == 0).sum()))
"""


def test_memory_that_really_runs_out_on_the_processor():
    done = subprocess.run([sys.executable, "-c", STARVED], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "16 128\n", done.stderr[-2000:]
