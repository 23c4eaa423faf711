"""The file as a whole: names, kinds of tensors, opsets, and what stays unread."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from sterna.errors import ModelVersionUnsupported, UnsupportedFormat
from sterna.intake import inspect_model, read_model
from sterna.intake.onnx.names import TensorNames, ValueNames
from sterna.module import build_module

WEIGHT = np.ones((6, 3), np.float32)


def test_tensors_keep_their_names_as_far_as_python_has_them():
    names = TensorNames()
    given = [
        "fc.weight",
        "layers/0/kernel:0",
        "onnx::MatMul_12",
        "fc",
        "fc.weight",
        "1x1",
        "",
        "fc.weight.a",
        "__class__",
    ]
    assert [names.take(name) for name in given] == [
        "fc.weight", "layers.0.kernel_0", "onnx_MatMul_12", "fc_2", "fc.weight_2", "_1x1", "tensor",
        "fc_weight_a", "class",
    ]  # fmt: skip


def test_values_get_identifiers():
    names = ValueNames()
    assert [names.take(name) for name in ("input.1", "input_1", "/a/b", "1", "")] == [
        "input_1", "input_1_2", "a_b", "_1", "value",
    ]  # fmt: skip


def test_kinds_come_from_use(write):
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"]),
        helper.make_node("BatchNormalization", ["n", "s", "b", "m", "v"], ["n2"]),
        helper.make_node("MatMul", ["n2", "w"], ["p"]),
        helper.make_node("Add", ["p", "bias"], ["q"]),
        helper.make_node("Mul", ["q", "table"], ["y"]),
    ]
    tensors = {name: np.ones(6, np.float32) for name in "sbmv"}
    tensors |= {"w": WEIGHT, "bias": np.ones((1, 3), np.float32), "table": np.ones((2, 3), np.float32)}
    graph = read_model(write(nodes, {"x": np.ones((2, 6), np.float32)}, tensors)).graph
    kinds = {name: info.kind for name, info in graph.tensors.items()}
    assert kinds == {
        "s": "parameter", "b": "parameter", "m": "buffer", "v": "buffer",
        "s_2": "parameter", "b_2": "parameter", "m_2": "buffer", "v_2": "buffer",
        "w": "parameter", "bias": "parameter", "table": "constant",
    }  # fmt: skip


def test_batch_normalisation_that_was_kept_trains(write):
    node = helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], momentum=0.5)
    tensors = {name: np.ones(6, np.float32) for name in "sbmv"}
    network = read_model(write([node], {"x": np.ones((2, 6), np.float32)}, tensors))
    module, original = build_module(network).train(), torch.nn.BatchNorm1d(6, momentum=0.5)
    original.running_mean = torch.ones(6)
    inputs = torch.randn(8, 6)
    with torch.no_grad():
        original.bias.fill_(1.0)
    torch.testing.assert_close(module(inputs), original(inputs))
    torch.testing.assert_close(dict(module.named_buffers())["m"], original.running_mean)


@pytest.mark.parametrize("opset", [6, 27])
def test_other_opsets_are_refused(write, opset):
    node = helper.make_node("Relu", ["x"], ["y"])
    path = write([node], {"x": WEIGHT}, opset=18)
    model = onnx.load(path)
    model.opset_import[0].version = opset
    onnx.save(model, path)
    with pytest.raises(ModelVersionUnsupported, match=f"opset {opset}; read are 7 to 26"):
        read_model(path)


def test_half_precision_is_read(write):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    network = read_model(write([node], {"x": WEIGHT.T.astype(np.float16)}, {"w": WEIGHT.astype(np.float16)}))
    assert network.graph.tensors["w"].dtype == "float16"
    assert network.tensors["w"].dtype == np.float16


def test_nodes_that_no_result_needs_are_left_out(write):
    nodes = [helper.make_node("Unheard", ["x"], ["z"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    assert list(read_model(write(nodes, {"x": WEIGHT.T}, {"w": WEIGHT, "unused": WEIGHT})).graph.tensors) == ["w"]


def test_what_only_begins_like_onnx_is_not_it(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07\x99\x99")
    with pytest.raises(UnsupportedFormat, match=r"\.onnx of one file"):
        inspect_model(path)


def sparse_file(path, weight_bytes):
    """A sound network whose weight is a hole in the file, so that it takes no disk."""
    tensor = numpy_helper.from_array(np.zeros((1, 4), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    given = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", weight_bytes // 16])
    graph = helper.make_graph([node], "g", [given], [helper.make_empty_tensor_value_info("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    tensor.ClearField("raw_data")
    tensor.dims[0] = weight_bytes // 16
    head = tensor.SerializeToString() + b"\x4a" + varint(weight_bytes)
    rest = graph.SerializeToString()
    inner = b"\x2a" + varint(len(head) + weight_bytes) + head
    model.ClearField("graph")
    with path.open("wb") as file:
        file.write(model.SerializeToString() + b"\x3a" + varint(len(rest) + len(inner) + weight_bytes) + rest + inner)
        file.truncate(file.tell() + weight_bytes)


def varint(value):
    encoded = b""
    while value > 0x7F:
        encoded, value = encoded + bytes([value & 0x7F | 0x80]), value >> 7
    return encoded + bytes([value])


def test_looking_at_half_a_gigabyte_takes_little_memory_and_no_library(tmp_path):
    path = tmp_path / "large.onnx"
    sparse_file(path, 500_000_000)
    script = (
        "import sys; from sterna.intake import inspect_model; "
        f"print(inspect_model({str(path)!r}).ternarisable_weights, "
        "next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')), "
        "sorted({'torch', 'onnx', 'google'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    weights, peak_kib, imported = done.stdout.split(maxsplit=2)
    assert int(weights) == 125_000_000
    assert int(peak_kib) * 1024 < 200_000_000
    assert imported.strip() == "[]"
