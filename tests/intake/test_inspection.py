import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from sterna.errors import DataMismatch, InvalidSpec, ModelCorrupt, NonFiniteData, NonFiniteWeights, NothingToTernarise
from sterna.graph import Input
from sterna.intake import inspect_model, preflight, read_checked, read_model
from sterna.intake.data import check_data
from sterna.intake.goal import Goal


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
    np.savez(data, input=np.zeros((6, 2, 10), np.float32), target=np.arange(6) % 5)
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


@pytest.mark.parametrize("read", [preflight, read_checked])
@pytest.mark.parametrize("name", ["target", "eval_target"])
@pytest.mark.parametrize(("label", "allowed"), [(-1, "0 to 4"), (5, "0 to 4")])
def test_class_indices_are_those_of_the_logits(model, tmp_path, read, name, label, allowed):
    inputs = np.zeros((6, 2, 10), np.float32)
    arrays = {"input": inputs, "eval_input": inputs, "target": np.arange(6) % 5, "eval_target": np.arange(6) % 5}
    arrays[name] = np.array([0, 1, 2, 3, 4, label])
    data = tmp_path / "data.npz"
    np.savez(data, **arrays)
    with pytest.raises(DataMismatch, match=f"array '{name}' holds the class index {label}; allowed are {allowed}"):
        read(model, data)
    read(model, data, objective="distillation")


def test_where_the_classes_are_not_known_their_indices_are_still_no_less_than_0(export, tmp_path):
    graph = read_model(export(nn.Linear(4, 3), torch.ones(2, 4))).graph
    data = tmp_path / "data.npz"
    np.savez(data, input=np.zeros((3, 4), np.float32), target=np.array([3, 3, 100]))
    check_data(data, graph, goal=Goal("auto", (None, None)))
    np.savez(data, input=np.zeros((3, 4), np.float32), target=np.array([3, 3, -100]))
    with pytest.raises(DataMismatch, match="index -100; allowed are 0 and above"):
        check_data(data, graph, goal=Goal("auto", (None, None)))


def test_what_was_checked_can_be_gone_on_with(model, tmp_path):
    data = tmp_path / "data.npz"
    inputs = np.random.default_rng(0).standard_normal((6, 2, 10)).astype(np.float32)
    np.savez(data, input=inputs, target=np.arange(6) % 5)
    checked = read_checked(model, data, ["3"])
    assert checked.inspection == inspect_model(model, ["3"])
    assert checked.network.graph == read_model(model).graph
    np.testing.assert_array_equal(checked.data.inputs["input"], inputs)
    assert read_checked(model, None).data is None


_GROWTH = """
import resource, sys
from sterna.intake import preflight
model, small, large = sys.argv[1:]
preflight(model, small)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
preflight(model, large)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_preflight_holds_no_decompressed_data(model, tmp_path):
    """ru_maxrss is the most that a process has ever held, so one number tells."""
    inputs = np.zeros((2**23 // 20, 2, 10))  # float64, which the network takes as float32
    inputs[::37, 0, 0] = np.random.default_rng(1).random(len(inputs[::37]))  # compresses well, and not absurdly
    np.savez(tmp_path / "small.npz", input=inputs[:20])
    buffer = io.BytesIO()
    np.save(buffer, inputs)
    with zipfile.ZipFile(tmp_path / "large.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("input.npy", buffer.getbuffer())
    command = [sys.executable, "-c", _GROWTH, *map(str, (model, tmp_path / "small.npz", tmp_path / "large.npz"))]
    grown = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert inputs.nbytes > 60 * 2**20
    assert grown < 16 * 2**20


_PEAK = """
import sys
from pathlib import Path
from sterna.intake import inspect_model
inspection = inspect_model(sys.argv[1])
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's memory before exec
print(int(status.partition("VmHWM:")[2].split()[0]) * 1024, inspection.parameters)
"""


def test_a_model_of_half_a_gigabyte_is_inspected_from_its_headers(export, tmp_path):
    """A page of the mapped file that is touched counts to the peak, so little of the file can have been read."""
    weights = 125_000_000
    path = enlarge(export(nn.Linear(4, 5, bias=False), torch.ones(2, 4)), tmp_path / "large.pt2", weights)
    assert path.stat().st_size > 500 * 10**6
    done = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=True)
    peak, parameters = map(int, done.stdout.split())
    assert parameters == weights
    assert peak < 200 * 10**6


def enlarge(small, path, weights):
    """The same file with a weight of (weights / 4, 4), which is a hole in the file: zeros, and no room on the disk."""
    index_name = "model/data/weights/model_weights_config.json"
    with zipfile.ZipFile(small) as archive:
        members = {f"model/{name.partition('/')[2]}": archive.read(name) for name in archive.namelist()}
    index = json.loads(members[index_name])
    index["config"]["weight"]["tensor_meta"]["sizes"] = [{"as_int": weights // 4}, {"as_int": 4}]
    members[index_name] = json.dumps(index).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if not name.endswith("weight_0"):
                archive.writestr(name, content)
        hole = zipfile.ZipInfo("model/data/weights/weight_0")
        hole.file_size = hole.compress_size = 4 * weights
        hole.CRC = 0
        hole.header_offset = archive.fp.tell()
        archive.fp.write(hole.FileHeader(zip64=False))
        archive.fp.seek(4 * weights, io.SEEK_CUR)
        archive.start_dir = archive.fp.tell()
        archive.filelist.append(hole)
        archive.NameToInfo[hole.filename] = hole
        archive._didModify = True
    return path
