import pytest
import torch
from torch import Tensor, nn

from sterna.errors import ModelCorrupt, ModelTooLarge, OperatorUnsupported
from sterna.graph import Node, ValueRef
from sterna.graph.check import MAX_NODES
from sterna.intake import read_model
from sterna.intake.in_place import MAX_LOOKS, Values
from sterna.intake.write_back import MAX_PIECES


def test_every_name_of_an_overwritten_value_stands_for_the_new_one():
    values = Values([])
    values.define("x")
    values.overwrite("x", "relu_")
    values.overwrite("relu_", "add_")
    assert [values.read(name) for name in ("x", "relu_", "add_")] == ["add_"] * 3


def test_views_of_overwritten_memory_are_no_longer_read():
    values = Values([])
    values.define("x")
    values.define("row", sharing="x")
    values.define("copy")
    values.overwrite("row", "relu_")
    assert values.read("copy") == "copy"
    assert values.read("row") == "relu_"
    with pytest.raises(OperatorUnsupported, match=r"'x' is used after 'relu_'.*memory") as caught:
        values.read("x")
    assert "inplace=False" in caught.value.hint


def select(source: str, output: str) -> Node:
    return Node("aten.select.int", {"self": ValueRef(source), "dim": 0, "index": 1}, (output,))


def test_what_a_view_looks_into_is_made_anew_once_somebody_looks():
    nodes: list[Node] = []
    values = Values(nodes)
    values.define("x")
    for name in ("row", "same_row"):
        assert values.define_views("x", select("x", name))
    values.overwrite("row", "relu_")
    values.overwrite("row", "add_")
    assert values.read("row") == "add_"
    assert nodes == []
    x, row = values.read("x"), values.read("same_row")
    assert nodes == [
        Node(
            "aten.select_scatter.default",
            {"self": ValueRef("x"), "src": ValueRef("add_"), "dim": 0, "index": 1},
            (x,),
        ),
        select(x, row),
    ]
    assert (values.read("x"), values.read("same_row"), values.read("relu_")) == (x, row, "add_")


def test_looks_are_put_back_to_a_depth_and_a_number():
    values = Values([])
    values.define("v0")
    for depth in range(MAX_LOOKS + 1):
        assert values.define_views(f"v{depth}", select(f"v{depth}", f"v{depth + 1}")) == (depth < MAX_LOOKS)
    for count in (MAX_PIECES, MAX_PIECES + 1):
        pieces = tuple(f"of_{count}_{n}" for n in range(count))
        assert values.define_views("v0", Node("aten.unbind.int", {"self": ValueRef("v0")}, pieces)) == (
            count == MAX_PIECES
        )


def test_a_network_does_not_grow_without_bound_by_what_is_made_anew():
    values = Values([])
    values.define("v0")
    for depth in range(MAX_LOOKS):
        values.define_views(f"v{depth}", select(f"v{depth}", f"v{depth + 1}"))
    deepest = f"v{MAX_LOOKS}"
    for write in range(MAX_NODES // MAX_LOOKS):
        values.overwrite(deepest, f"written{write}")
        values.read("v0")
    values.overwrite(deepest, "last")
    with pytest.raises(ModelTooLarge, match=f"more than {MAX_NODES} nodes"):
        values.read("v0")


def test_a_tensor_that_is_turned_lets_its_views_go():
    values = Values([])
    values.define("x")
    values.define_views("x", select("x", "row"))
    values.turn("x", "t_")
    assert values.read("x") == "t_"
    with pytest.raises(OperatorUnsupported, match="'row' is used after 't_'"):
        values.read("row")


def test_a_part_without_gradients_overwrites_only_what_it_has_made():
    values = Values([])
    values.define("x")
    values.define("y", region=1)
    values.overwrite("y", "fill_", region=1)
    with pytest.raises(OperatorUnsupported, match="no_grad"):
        values.overwrite("x", "zero_", region=1)


def test_the_tensors_of_the_network_are_not_overwritten():
    values = Values([])
    values.define("view_of_weight", owned_by_network=True)
    with pytest.raises(OperatorUnsupported, match="parameter or a buffer"):
        values.overwrite("view_of_weight", "new")


def test_names_are_used_once():
    values = Values([])
    values.define("x")
    with pytest.raises(ModelCorrupt, match="two values"):
        values.define("x")
    with pytest.raises(ModelCorrupt, match="two values"):
        values.overwrite("x", "x")
    with pytest.raises(ModelCorrupt, match="before anything makes it"):
        values.read("y")


class OverwritesWhatMayBeAView(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        y.flatten()[:2].relu_()
        return y


class OverwritesBuffer(OverwritesWhatMayBeAView):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.steps.add_(1.0)
        return self.fc(x) * self.steps


class ReadsCounter(OverwritesWhatMayBeAView):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x) * self.calls
        self.calls.add_(1)
        return y


class Promotes(OverwritesWhatMayBeAView):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x).half()
        y += x
        return y


def test_what_shows_one_element_in_many_places_is_not_overwritten():
    values = Values([])
    values.define("x")
    values.define("expand", sharing=["x"], shown="repeating")
    values.define("flatten", sharing=["expand"])
    values.define("contiguous", sharing=["flatten"], shown="plain")
    values.overwrite("contiguous", "fill_")
    values.define("y")
    values.define("expand_1", sharing=["y"], shown="repeating")
    values.define("flatten_1", sharing=["expand_1"])
    for name in ("expand_1", "flatten_1"):
        with pytest.raises(OperatorUnsupported, match="one element in many places"):
            values.overwrite(name, "zero_")


class OverwritesWithoutGradients(OverwritesWhatMayBeAView):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        with torch.no_grad():
            y.mul_(2)
        return y


class OverwritesRepeated(OverwritesWhatMayBeAView):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x).detach()[None].expand(2, -1, -1)
        return y.masked_fill_(y > 0, 1.0)


@pytest.mark.parametrize(
    "make",
    [
        OverwritesRepeated,
        OverwritesWhatMayBeAView,
        OverwritesBuffer,
        ReadsCounter,
        Promotes,
        OverwritesWithoutGradients,
    ],
)
def test_networks_that_cannot_be_read_so_are_refused(export, make):
    with pytest.raises(OperatorUnsupported, match="overw"):
        read_model(export(make(), torch.ones(3, 4)))


def test_a_product_of_several_is_new_memory(export):
    class Product(OverwritesWhatMayBeAView):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.einsum("bi,oi->bo", x, self.fc.weight)
            y[:, 0].mul_(2)
            return y

    assert "scatter" in read_model(export(Product(), torch.ones(3, 4))).graph.nodes[-1].operator


def test_what_is_converted_is_new_memory(export):
    class Converts(OverwritesWhatMayBeAView):
        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x)
            y.to(torch.float64).zero_()
            return y

    assert read_model(export(Converts(), torch.ones(3, 4))).graph.outputs[0].name == "linear"


def test_networks_that_can_have_no_trace_of_it(export):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU6(inplace=True), nn.Dropout(inplace=True), nn.SiLU(inplace=True))
    graph = read_model(export(model, torch.ones(2, 1, 4, 4))).graph
    assert [node.operator for node in graph.nodes] == [
        "aten.conv2d.default", "aten.hardtanh.default", "aten.dropout.default", "aten.silu.default",
    ]  # fmt: skip
    assert "input" in graph.nodes[2].arguments
