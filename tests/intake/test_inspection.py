import numpy as np
import pytest
import torch
from torch import nn

from sterna.errors import InvalidSpec, ModelCorrupt, NonFiniteData, NonFiniteWeights, NothingToTernarise
from sterna.graph import Input
from sterna.intake import inspect_model, preflight, read_model


def net() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(32, 5))


@pytest.fixture
def model(export):
    return export(net(), torch.ones(3, 2, 10))


def test_a_model_is_told_from_its_headers(model):
    inspection = inspect_model(model, exclude=["3"])
    assert inspection.format == "pt2"
    assert inspection.parameters == sum(parameter.numel() for parameter in net().parameters())
    assert inspection.inputs == (Input("input", "float32", (None, 2, 10)),)
    assert [(layer.name, layer.kind, layer.ternarisable) for layer in inspection.layers] == [
        ("0.weight", "conv", True), ("3.weight", "linear", False),
    ]  # fmt: skip
    assert inspection.ternarisable_weights == 24


def test_inspection_reads_no_tensor(model):
    content = bytearray(model.read_bytes())
    weight = read_model(model).tensors["3.weight"].tobytes()
    content[content.find(weight)] ^= 1
    model.write_bytes(bytes(content))
    assert inspect_model(model).ternarisable_weights == 24 + 160
    with pytest.raises(ModelCorrupt, match="CRC"):
        read_model(model)


def test_preflight_passes_what_can_be_worked_on(model, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, input=np.zeros((6, 2, 10), np.float32), target=np.arange(6))
    assert preflight(model, data) == preflight(model, None) == inspect_model(model)


def test_there_must_be_something_to_ternarise(model, export):
    with pytest.raises(NothingToTernarise, match=r"0\.weight is excluded; 3\.weight is excluded"):
        preflight(model, None, exclude=["*"])
    with pytest.raises(NothingToTernarise, match="no layer with a weight"):
        preflight(export(nn.BatchNorm1d(2), torch.ones(3, 2, 10)), None)


def test_a_glob_that_fits_nothing_is_a_mistake(model):
    with pytest.raises(InvalidSpec, match="'head'") as caught:
        preflight(model, None, exclude=["3", "head"])
    assert "0.weight, 3.weight" in caught.value.hint


@pytest.mark.parametrize("name", ["0.weight", "3.bias", "1.running_var"])
def test_weights_are_finite(export, name):
    spoilt = net()
    with torch.no_grad():
        spoilt.state_dict()[name].view(-1)[-1] = torch.nan
    with pytest.raises(NonFiniteWeights, match=name):
        preflight(export(spoilt, torch.ones(3, 2, 10)), None)


def test_data_is_checked(model, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, input=np.full((6, 2, 10), np.nan, np.float32))
    with pytest.raises(NonFiniteData):
        preflight(model, data)
