"""A job that is out of memory: in parts and with a warning, or as a typed failure."""

import pytest
import torch
from torch import nn

from api_schemas import Budget, CompressSpec
from sterna.compress import compress
from sterna.errors import OutOfMemory
from sterna.method.gradient import BatchGradient

SPEC = CompressSpec(target_sparsity=0.7, budget=Budget(epochs=1))


def starve(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize("budget", [Budget(epochs=1), Budget(epochs=1, seconds=600)])  # the second times its steps
def test_it_goes_on_in_parts_and_says_so(mlp, tmp_path, monkeypatch, budget):
    monkeypatch.setattr(BatchGradient, "_whole", starve)
    spec = SPEC.model_copy(update={"budget": budget})
    told = []
    result = compress(mlp.model, mlp.data, spec, tmp_path, on_event=told.append)
    assert "MICRO_BATCHES" in result.warnings
    assert result.target_met
    (text,) = [body.text for body in told if body.kind == "message" and body.code == "MICRO_BATCHES"]
    assert text == "memory did not suffice for batches of 64: they were taken 16 at a time"


def test_what_does_not_fit_in_parts_either_is_typed(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(BatchGradient, "_whole", starve)
    monkeypatch.setattr(BatchGradient, "_in_parts", starve)
    with pytest.raises(OutOfMemory, match="16 of its 64 samples"):
        compress(mlp.model, mlp.data, SPEC, tmp_path)


def test_a_network_that_does_not_fit_at_all_is_typed(tmp_path):
    class Outer(nn.Module):
        """Each of its steps is in proportion to what it is given; four of them are not."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 3)

        def forward(self, x):
            for _ in range(4):
                x = (x.flatten(1)[:, :, None] * x.flatten(1)[:, None, :]).reshape(x.shape[0], -1, 8)
            return self.linear(x.mean(1))

    model = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(Outer(), (torch.randn(2, 1, 8),)), model)
    with pytest.raises(OutOfMemory, match="needs more memory than there is for a batch"):
        compress(model, None, SPEC.model_copy(update={"tolerance": 0.1}), tmp_path)
