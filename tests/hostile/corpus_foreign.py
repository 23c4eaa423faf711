"""Attacks in `.onnx` files and in bundles; see `corpus.py`. Both are written anew here and need no sound `.pt2`."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from safetensors.numpy import save

from tests.hostile.conftest import zipped
from tests.hostile.corpus import CODE, bomb

FOREIGN_ATTACKS: Final[dict[str, tuple[str, Callable[[], bytes]]]] = {}


def attack(code: str) -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    def register(make: Callable[[], bytes]) -> Callable[[], bytes]:
        FOREIGN_ATTACKS[make.__name__] = (code, make)
        return make

    return register


def network(
    nodes: Sequence[NodeProto] = (), tensors: dict[str, np.ndarray] | None = None, end: str = "y"
) -> ModelProto:
    """Two layers, or what is given; input `x` of shape (batch, 3)."""
    nodes = nodes or [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    stored = {"w": np.ones((3, 2), np.float32)} if tensors is None else tensors
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_empty_tensor_value_info(end)],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def chain(kind: str, length: int, *, first: str = "x", twice: bool = False, **attributes: int) -> list[NodeProto]:
    names = [first, *(f"v{at}" for at in range(1, length + 1))]
    return [
        helper.make_node(kind, [one, one] if twice else [one], [other], **attributes) for one, other in pairwise(names)
    ]


# ONNX: what lies elsewhere, or would be run.


@attack("MODEL_UNSAFE")
def onnx_weights_in_another_file() -> bytes:
    model = network()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model.SerializeToString()


@attack("OPERATOR_UNSUPPORTED")
def onnx_operator_of_a_library_of_its_own() -> bytes:
    model = network()
    model.graph.node[1].domain = "com.evil"
    return model.SerializeToString()


@attack("OPERATOR_UNSUPPORTED")
def onnx_network_within_a_node() -> bytes:
    model = network()
    model.graph.node[1].attribute.append(helper.make_attribute("body", helper.make_graph([], "inner", [], [])))
    return model.SerializeToString()


@attack("OPERATOR_UNSUPPORTED")
def onnx_functions_that_call_each_other() -> bytes:
    model = network()
    for one, other in (("f", "g"), ("g", "f")):
        function = model.functions.add(name=one, domain="d")
        function.node.append(helper.make_node(other, ["x"], ["y"], domain="d"))
    return model.SerializeToString()


@attack("OPERATOR_UNSUPPORTED")
def onnx_operator_whose_name_is_code() -> bytes:
    model = network()
    model.graph.node[1].op_type = f"__import__('os').system({CODE!r})"
    return model.SerializeToString()


# ONNX: what explodes.


@attack("MODEL_TOO_LARGE")
def onnx_of_twenty_thousand_nodes() -> bytes:
    return network(chain("Relu", 20_001), {}, "v20001").SerializeToString()


@attack("MODEL_TOO_LARGE")
def onnx_of_a_million_fields() -> bytes:
    return b"\x08\x08\x12\x00" + b"\x28\x01" * 1_000_000


@attack("OPERATOR_UNSUPPORTED")
def onnx_lists_that_double_sixty_times() -> bytes:
    nodes = [helper.make_node("Shape", ["x"], ["v0"]), *chain("Concat", 60, first="v0", twice=True, axis=0)]
    return network([*nodes, helper.make_node("Reshape", ["x", "v60"], ["y"])], {}).SerializeToString()


@attack("MODEL_TOO_LARGE")
def onnx_arithmetic_on_constants_without_end() -> bytes:
    nodes = [*chain("Add", 5000, first="v0", twice=True), helper.make_node("Reshape", ["x", "v5000"], ["y"])]
    return network(nodes, {"v0": np.zeros(4096, np.int64)}).SerializeToString()


@attack("MODEL_CORRUPT")
def onnx_sizes_that_overflow() -> bytes:
    nodes = [*chain("Mul", 8, first="v0", twice=True), helper.make_node("Reshape", ["x", "v8"], ["y"])]
    return network(nodes, {"v0": np.array([2**20], np.int64)}).SerializeToString()


@attack("MODEL_TOO_LARGE")
def onnx_two_thousand_axes() -> bytes:
    nodes = [helper.make_node("Unsqueeze", ["x", "axes"], ["y"])]
    return network(nodes, {"axes": np.arange(2000)}).SerializeToString()


@attack("MODEL_TOO_LARGE")
def onnx_name_of_forty_megabytes() -> bytes:
    model = network()
    model.graph.node[1].op_type = "R" * 40_000_000
    return model.SerializeToString()


# ONNX: what lies about itself.


@attack("MODEL_CORRUPT")
def onnx_giant_initialiser_of_six_numbers() -> bytes:
    model = network()
    model.graph.initializer[0].dims[:] = [2**40, 2]
    return model.SerializeToString()


@attack("MODEL_CORRUPT")
def onnx_initialiser_whose_size_overflows() -> bytes:
    model = network()
    model.graph.initializer[0].dims[:] = [2**62, 2**62]
    return model.SerializeToString()


@attack("MODEL_CORRUPT")
def onnx_node_that_needs_itself() -> bytes:
    model = network()
    model.graph.node[0].input[0] = "h"
    return model.SerializeToString()


@attack("MODEL_CORRUPT")
def onnx_half_a_file() -> bytes:
    content = network().SerializeToString()
    return content[: len(content) // 2]


@attack("UNSUPPORTED_FORMAT")
def onnx_in_gzip() -> bytes:
    return gzip.compress(network().SerializeToString())


# Bundles.

CONFIG: Final = {
    "model_type": "bert",
    "architectures": ["BertForSequenceClassification"],
    "id2label": {"0": "a", "1": "b"},
}


def weights() -> bytes:
    shapes = {"bert.embeddings.word_embeddings.weight": (50, 8), "classifier.weight": (2, 8)}
    return save({name: np.ones(shape, np.float32) for name, shape in shapes.items()})


def with_header(header: dict[str, object], body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def bundle(config: object = CONFIG, content: bytes | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    text = config if isinstance(config, str) else json.dumps(config)
    members = {"config.json": text.encode(), "model.safetensors": weights() if content is None else content}
    return zipped(members, compression)


@attack("MODEL_UNSAFE")
def bundle_with_a_class_of_its_own() -> bytes:
    return bundle(CONFIG | {"auto_map": {"AutoModel": "evil--modeling.Evil"}})


@attack("MODEL_UNSAFE")
def bundle_with_a_class_of_its_own_deep_inside() -> bytes:
    return bundle(CONFIG | {"text_config": {"auto_map": {"AutoModel": "evil--modeling.Evil"}}})


@attack("MODEL_UNSAFE")
def bundle_with_a_kernel_from_elsewhere() -> bytes:
    return bundle(CONFIG | {"_attn_implementation": "someone/kernel"})


@attack("MODEL_CORRUPT")
def bundle_whose_weights_are_a_pickle() -> bytes:
    return bundle(content=bomb())


@attack("accepted")
def bundle_with_a_pickle_and_code_beside_the_weights() -> bytes:
    members = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": weights()}
    return zipped(members | {"pytorch_model.bin": bomb(), "modeling_evil.py": CODE.encode()})


@attack("MODEL_TOO_LARGE")
def bundle_of_a_million_layers() -> bytes:
    return bundle(CONFIG | {"num_hidden_layers": 10**6})


@attack("MODEL_TOO_LARGE")
def bundle_with_a_vocabulary_of_a_billion() -> bytes:
    return bundle(CONFIG | {"vocab_size": 10**9})


@attack("MODEL_TOO_LARGE")
def bundle_whose_configuration_has_forty_megabytes() -> bytes:
    return bundle('{"model_type": "' + "b" * 40_000_000 + '"}')


@attack("MODEL_CORRUPT")
def bundle_whose_configuration_is_nested_without_end() -> bytes:
    return bundle('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")


@attack("MODEL_CORRUPT")
def bundle_with_a_header_far_beyond_the_file() -> bytes:
    return bundle(content=struct.pack("<Q", 2**62) + b"{}")


@attack("MODEL_CORRUPT")
def bundle_with_a_weight_far_larger_than_its_bytes() -> bytes:
    entry = {"dtype": "F32", "shape": [2**20, 2**20], "data_offsets": [0, 64]}
    return bundle(content=with_header({"classifier.weight": entry}, bytes(64)))


@attack("MODEL_TOO_LARGE")
def bundle_of_a_hundred_thousand_tensors() -> bytes:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    return bundle(content=with_header({f"layer.{n}.weight": entry for n in range(200_000)}, bytes(4)))


@attack("MODEL_UNSAFE")
def bundle_that_inflates_a_thousand_times() -> bytes:
    entry = {"dtype": "F32", "shape": [10_000_000], "data_offsets": [0, 40_000_000]}
    return bundle(
        content=with_header({"classifier.weight": entry}, bytes(40_000_000)), compression=zipfile.ZIP_DEFLATED
    )
