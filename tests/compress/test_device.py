"""Where a job computes. No GPU is needed: devices are fakes that only know where a tensor would lie."""

import numpy as np
import pytest
import torch

from api_schemas import Budget, CompressSpec
from sterna.artifact import Artifact
from sterna.compress import ARTIFACT_NAME, compress
from sterna.compress.device import choose_device
from sterna.compress.samples import StoredRows, TrainingData
from sterna.method import Samples

META = torch.device("meta")


@pytest.fixture
def _tf32_as_before():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_a_process_that_sees_no_gpu_computes_on_the_processor(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")


@pytest.mark.usefixtures("_tf32_as_before")
def test_a_process_that_sees_one_takes_it_in_full_float32(monkeypatch):
    torch.backends.cudnn.allow_tf32 = True
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_artifact_says_what_it_was_made_on(mlp, tmp_path):
    spec = CompressSpec(target_sparsity=0.5, budget=Budget(epochs=0.1))
    compress(mlp.model, mlp.data, spec, tmp_path)
    with Artifact.open(tmp_path / ARTIFACT_NAME) as artifact:
        runtime = artifact.report["runtime"]
    assert runtime == {"name": "torch", "version": torch.__version__, "device": "cpu", "precision": "float32"}


@pytest.mark.parametrize("fixed", [True, False])
def test_batches_lie_where_the_network_is(fixed):
    x = np.arange(40, dtype=np.float64).reshape(10, 4)
    rows = np.array([0, 2, 4, 6, 8])
    train = Samples(
        [StoredRows(x, torch.float32, rows), torch.ones(5, 2)],
        StoredRows(x[:, 0], torch.int64, rows),
        batch_size=4,
        fixed=fixed,
    )
    data = TrainingData(train, Samples([StoredRows(x, torch.float32)], None, batch_size=4), synthetic=True)
    moved = data.on(META)
    assert moved.synthetic
    assert moved.held_out.target is None
    for there, here in zip(moved.train.in_order(), data.train.in_order(), strict=True):
        assert [t.device for t in (*there.inputs, there.target)] == [META] * 3
        assert [(t.shape, t.dtype) for t in there.inputs] == [(t.shape, t.dtype) for t in here.inputs]
        assert (there.target.dtype, there.count) == (torch.int64, here.count)
    again = data.on(torch.device("cpu"))
    for one, other in zip(again.train.in_order(), data.train.in_order(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.inputs, other.inputs, strict=True))
