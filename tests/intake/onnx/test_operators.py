"""Every ONNX operator that is read, against onnxruntime, on two batch sizes."""

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from sterna.errors import OperatorUnsupported
from sterna.intake import inspect_model, read_model
from sterna.intake.onnx.operators import CONVERTERS
from tests.intake.onnx.cases import CASES as COMPUTING
from tests.intake.onnx.cases_indexed import CASES as INDEXED
from tests.intake.onnx.making import IMAGE, ROWS, SEQUENCE, ints, node, normal
from tests.intake.onnx.test_folding import SHAPES_IN_THE_NETWORK

CASES = COMPUTING | INDEXED


@pytest.mark.parametrize("case", CASES)
def test_an_operator_does_what_onnxruntime_does(compare, case):
    made, inputs, tensors, opset, dynamic = (*CASES[case], *({}, 18, True)[len(CASES[case]) - 2 :])
    compare(made, inputs, tensors, opset=opset, dynamic=dynamic)


def test_gates_that_the_network_puts_into_order_are_the_weights_of_the_layer(compare):
    """As PyTorch's exporter writes an LSTM cell: torch's gates i f g o are cut and joined as ONNX's i o f g."""
    numbers = {"zero": ints(0), **{f"at{at}": ints(4 * at) for at in range(5)}}
    tensors = {"w": normal(16, 6), "r": normal(16, 4), "b": normal(16), "rb": normal(16)}
    nodes = [
        part
        for name in tensors
        for part in (
            helper.make_node("Slice", [name, "at0", "at1", "zero"], [f"{name}_i"]),
            helper.make_node("Slice", [name, "at3", "at4", "zero"], [f"{name}_o"]),
            helper.make_node("Slice", [name, "at1", "at3", "zero"], [f"{name}_fg"]),
            helper.make_node("Concat", [f"{name}_i", f"{name}_o", f"{name}_fg"], [f"{name}_all"], axis=0),
        )
    ]
    nodes.append(helper.make_node("Concat", ["b_all", "rb_all"], ["both"], axis=0))
    wide = {"w_all": "W", "r_all": "R", "both": "B"}
    nodes += [helper.make_node("Unsqueeze", [name, "zero"], [after]) for name, after in wide.items()]
    nodes.append(node("LSTM", "x", *wide.values(), outputs=3, hidden_size=4))
    network = compare(nodes, {"x": SEQUENCE}, {**tensors, **numbers})
    shapes = sorted(info.shape for info in network.graph.tensors.values() if info.kind == "parameter")
    assert shapes == [(16,), (16,), (16, 4), (16, 6)]


@pytest.mark.parametrize(
    ("operator", "others"),
    [("ScatterND", ["i", "u"]), ("GatherND", ["i"]), ("TopK", ["k"]), ("ScatterElements", ["at", "u"])],
)
def test_a_weight_that_is_also_indexed_stays_as_it_is(write, operator, others):
    arrays = {"i": np.array([[1, 2], [0, -1]]), "u": normal(2), "k": ints(2), "at": np.array([[1], [0]])}
    arrays["u"] = normal(2, 1) if operator == "ScatterElements" else arrays["u"]
    nodes = [
        helper.make_node(operator, ["w", *others], ["part"]),
        helper.make_node("ReduceSum", ["part"], ["total"], keepdims=0),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        node("Mul", "h", "total"),
    ]
    path = write(nodes, {"x": ROWS}, {"w": normal(6, 6)} | {name: arrays[name] for name in others})
    (layer,) = inspect_model(path).layers
    assert (layer.name, layer.why_not) == ("w", "also used otherwise than as a weight")


def test_the_page_names_every_operator():
    page = (Path(__file__).parents[3] / "docs/onnx.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert set(re.findall(r"\b[A-Z]\w+", " ".join(rows))) == set(CONVERTERS)


def test_every_operator_is_tried():
    tried = {case.partition("-")[0] for case in CASES}
    tried |= {one.op_type for nodes in SHAPES_IN_THE_NETWORK.values() for one in nodes}
    assert tried == set(CONVERTERS)


@pytest.mark.parametrize(
    ("made", "inputs", "tensors", "why"),
    [
        (node("GRU", "x", "w", "r", hidden_size=3), {"x": SEQUENCE}, {"w": normal(1, 9, 6), "r": normal(1, 9, 3)},
         "reset"),
        (node("Resize", "x", "", "f", mode="linear", coordinate_transformation_mode="asymmetric"), {"x": IMAGE},
         {"f": np.array([1, 1, 2, 2], np.float32)}, "asymmetric"),
        (node("AveragePool", "x", kernel_shape=[3, 3], pads=[0, 1, 1, 0]), {"x": IMAGE}, {}, "pads"),
        (node("MaxPool", "x", kernel_shape=[2, 2], outputs=2), {"x": IMAGE}, {}, "y1"),
        (node("Attention", "x", "x", "x", softcap=2.0), {"x": IMAGE}, {}, "caps"),
        (node("Attention", "x", "x", "x", "", "x", "x"), {"x": IMAGE}, {}, "steps before"),
        (node("LRN", "x", size=2), {"x": IMAGE}, {}, "even"),
        (node("NonZero", "x"), {"x": ROWS}, {}, "data"),
        (node("ScatterND", "x", "i", "u", reduction="mul"), {"x": ROWS}, {"i": ints(0, 1), "u": ROWS[0, 0]}, "'mul'"),
        (node("Relu", "x", flavour=3), {"x": ROWS}, {}, "flavour"),
        (node("Slice", "x", "s", "e", "a", "t"), {"x": SEQUENCE},
         {"s": ints(4), "e": ints(0), "a": ints(1), "t": ints(-2)}, "backwards"),
    ],
)  # fmt: skip
def test_what_torch_has_not_is_refused_with_its_reason(write, made, inputs, tensors, why):
    with pytest.raises(OperatorUnsupported, match=why):
        read_model(write([made], inputs, tensors))
