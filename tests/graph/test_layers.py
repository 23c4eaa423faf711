import pytest

from sterna.graph import Graph, Input, Node, TensorInfo, TensorRef, ValueRef, find_layers

X = ValueRef("x")
LINEAR = "aten.linear.default"
LINEAR_W = (LINEAR, {"input": X, "weight": TensorRef("w")})


def graph_of(tensors, *nodes) -> Graph:
    made = tuple(Node(operator, arguments, (f"v{index}",)) for index, (operator, arguments) in enumerate(nodes))
    return Graph((Input("x", "float32", (None, 4)),), tensors, made, (ValueRef("v0"),))


def parameter(*shape: int, dtype: str = "float32") -> TensorInfo:
    return TensorInfo("parameter", dtype, shape)


def only(graph: Graph, exclude=()):
    (layer,) = find_layers(graph, exclude)
    return layer


@pytest.mark.parametrize(
    ("operator", "argument", "shape", "kind", "axis"),
    [
        (LINEAR, "weight", (5, 4), "linear", 0),
        ("aten.conv1d.default", "weight", (5, 4, 3), "conv", 0),
        ("aten.conv2d.padding", "weight", (5, 4, 3, 3), "conv", 0),
        ("aten.conv_transpose2d.input", "weight", (4, 5, 3, 3), "conv_transpose", 1),
        ("aten.mm.default", "mat2", (4, 5), "linear", 1),
        ("aten.addmm.default", "mat2", (4, 5), "linear", 1),
        ("aten.bmm.default", "mat2", (2, 4, 5), "linear", 2),
        ("aten.mm.default", "self", (5, 4), "linear", 0),
        ("aten.addmm.default", "mat1", (5, 4), "linear", 0),
        ("aten.matmul.default", "self", (2, 5, 4), "linear", 1),
        ("aten.inner.default", "other", (5, 4), "linear", 0),
        ("aten.inner.default", "self", (5, 4), "linear", 0),
    ],
)
def test_weights_and_their_output_axis(operator, argument, shape, kind, axis):
    layer = only(graph_of({"a.weight": parameter(*shape)}, (operator, {argument: TensorRef("a.weight")})))
    assert (layer.kind, layer.channel_axis, layer.shape) == (kind, axis, shape)
    assert layer.ternarisable
    assert layer.why_not == ""


@pytest.mark.parametrize(
    ("argument", "shape", "summed", "axis"),
    [
        ("other", (4, 5), (0,), 1),
        ("other", (5, 4), (-1,), 0),
        ("self", (5, 4), (1,), 0),
        ("other", (4, 3, 6), (0,), 2),
        ("other", (4, 7, 6), (0,), 1),
        ("other", (4, 3, 6), (0, 1), 2),
    ],
)
def test_factors_of_a_tensordot(argument, shape, summed, axis):
    arguments = {argument: TensorRef("w"), f"dims_{argument}": summed}
    layer = only(graph_of({"w": parameter(*shape)}, ("aten.tensordot.default", arguments)))
    assert (layer.kind, layer.channel_axis, layer.ternarisable) == ("linear", axis, True)


@pytest.mark.parametrize("summed", [(), (0, 1)])  # an outer product; a sum of everything
def test_what_of_a_tensordot_is_no_layer(summed):
    arguments = {"self": X, "other": TensorRef("w"), "dims_other": summed}
    assert find_layers(graph_of({"w": parameter(4, 5)}, ("aten.tensordot.default", arguments))) == ()


def test_weights_are_counted_and_biases_are_no_layers():
    layer = only(
        graph_of(
            {"a.weight": parameter(5, 4), "a.bias": parameter(5)},
            (LINEAR, {"input": X, "weight": TensorRef("a.weight"), "bias": TensorRef("a.bias")}),
        )
    )
    assert (layer.name, layer.weights) == ("a.weight", 20)


@pytest.mark.parametrize("glob", ["a.0.weight", "a.0", "a.*", "*.0", "*", "?.0"])
def test_globs_exclude_tensors_and_their_modules(glob):
    layer = only(graph_of({"a.0.weight": parameter(5, 4)}, (LINEAR, {"weight": TensorRef("a.0.weight")})), [glob])
    assert not layer.ternarisable
    assert layer.why_not == "excluded"


@pytest.mark.parametrize("glob", ["a", "b.*", "a.1", "A.0"])
def test_other_globs_do_not(glob):
    assert only(
        graph_of({"a.0.weight": parameter(5, 4)}, (LINEAR, {"weight": TensorRef("a.0.weight")})), [glob]
    ).ternarisable


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (TensorInfo("buffer", "float32", (5, 4)), "a buffer"),
        (TensorInfo("constant", "float32", (5, 4)), "a constant"),
        (parameter(5, 4, dtype="int8"), "int8"),
        (parameter(4), "fewer than two axes"),
        (parameter(0, 4), "empty"),
    ],
)
def test_what_a_tensor_must_be(info, words):
    layer = only(graph_of({"w": info}, (LINEAR, {"input": X, "weight": TensorRef("w")})))
    assert not layer.ternarisable
    assert words in layer.why_not


def test_a_weight_that_is_used_otherwise_stays():
    tensors = {"w": parameter(5, 4)}
    linear = (LINEAR, {"input": X, "weight": TensorRef("w")})
    for other in (
        ("aten.mul.Tensor", {"self": X, "other": TensorRef("w")}),
        ("aten.cat.default", {"tensors": (TensorRef("w"),)}),
        ("aten.conv_transpose2d.input", {"weight": TensorRef("w")}),
    ):
        assert not only(graph_of(tensors, linear, other)).ternarisable


def test_embeddings_have_a_scale_for_each_feature_unless_a_layer_shares_them():
    tensors = {"w": parameter(5, 4)}
    look_up = ("aten.embedding.default", {"weight": TensorRef("w"), "indices": X})
    alone = only(graph_of(tensors, look_up))
    assert (alone.kind, alone.channel_axis, alone.ternarisable) == ("embedding", 1, True)
    for nodes in ((look_up, LINEAR_W), (LINEAR_W, look_up)):
        shared = only(graph_of(tensors, *nodes))
        assert (shared.channel_axis, shared.ternarisable) == (0, True)
        assert set(shared.kind.split("+")) == {"embedding", "linear"}


def test_embeddings_of_position_stay():
    tensors = {"w": parameter(5, 4), "order": TensorInfo("buffer", "int64", (1, 5))}
    by_buffer = ("aten.embedding.default", {"weight": TensorRef("w"), "indices": TensorRef("order")})
    by_slice = ("aten.embedding.default", {"weight": TensorRef("w"), "indices": ValueRef("v1")})
    size = ("aten.sym_size.int", {"self": X, "dim": 1})
    cut = ("aten.slice.Tensor", {"self": TensorRef("order"), "dim": 1, "start": 0, "end": ValueRef("v0")})
    for nodes in ((by_buffer,), (size, cut, by_slice)):
        layer = only(graph_of(tensors, *nodes))
        assert layer.why_not == "an embedding of position: its rows are looked up by constants"
    gathered = ("aten.slice.Tensor", {"self": X, "dim": 1, "start": 0, "end": ValueRef("v0")})
    assert only(graph_of(tensors, size, gathered, by_slice)).ternarisable


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_recurrent_layers_have_their_matrices_in_a_list(kind):
    tensors = {"ih": parameter(8, 4), "hh": parameter(8, 2), "b": parameter(8), "h0": parameter(1, 1, 2)}
    params = tuple(TensorRef(name) for name in ("ih", "hh", "b", "b"))
    operator = "aten.rnn_tanh.input" if kind == "rnn" else f"aten.{kind}.input"
    found = find_layers(graph_of(tensors, (operator, {"input": X, "hx": (TensorRef("h0"),), "params": params})))
    assert [(layer.name, layer.kind, layer.channel_axis) for layer in found] == [("ih", kind, 0), ("hh", kind, 0)]
    assert all(layer.ternarisable for layer in found)


def test_cells_have_theirs_as_arguments():
    tensors = {"ih": parameter(8, 4), "hh": parameter(8, 2), "b": parameter(8)}
    weights = {"w_ih": TensorRef("ih"), "w_hh": TensorRef("hh"), "b_ih": TensorRef("b")}
    found = find_layers(graph_of(tensors, ("aten.lstm_cell.default", {"input": X, **weights})))
    assert [(layer.name, layer.kind) for layer in found] == [("ih", "lstm"), ("hh", "lstm")]


def test_factors_of_plain_contractions_are_weights():
    tensors = {"w": parameter(4, 3, 5), "v": parameter(4, 4)}
    einsum = ("aten.einsum.default", {"equation": "bd,dhk->bhk", "tensors": (X, TensorRef("w"))})
    product = ("aten.einsum.default", {"equation": "bd,bd->bd", "tensors": (X, TensorRef("v"))})
    layer = only(graph_of(tensors, einsum, product))
    assert (layer.name, layer.kind, layer.channel_axis, layer.ternarisable) == ("w", "einsum", 2, True)


@pytest.mark.parametrize("name", ["wpe.weight", "embeddings.position_embeddings.weight", "pos_embed.weight"])
def test_what_is_called_an_embedding_of_position_stays(name):
    look_up = ("aten.embedding.default", {"weight": TensorRef(name), "indices": X})
    layer = only(graph_of({name: parameter(5, 4)}, look_up))
    assert layer.why_not == "an embedding of position, as its name says"


def test_indices_that_only_a_shape_gives_are_constants():
    tensors = {"w": parameter(5, 4)}
    like = ("aten.zeros_like.default", {"self": X})
    look_up = ("aten.embedding.default", {"weight": TensorRef("w"), "indices": ValueRef("v0")})
    assert "looked up by constants" in only(graph_of(tensors, like, look_up)).why_not


def test_tensors_that_no_layer_uses_are_not_listed():
    assert find_layers(graph_of({"w": parameter(5, 4)}, ("aten.mul.Tensor", {"self": TensorRef("w")}))) == ()
