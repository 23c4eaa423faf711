import pytest
import torch
from torch import Tensor, nn

from sterna.errors import ModelCorrupt, OperatorUnsupported
from sterna.intake import read_model
from sterna.intake.in_place import Values


def test_every_name_of_an_overwritten_value_stands_for_the_new_one():
    values = Values()
    values.define("x")
    values.overwrite("x", "relu_")
    values.overwrite("relu_", "add_")
    assert [values.read(name) for name in ("x", "relu_", "add_")] == ["add_"] * 3


def test_views_of_overwritten_memory_are_no_longer_read():
    values = Values()
    values.define("x")
    values.define("row", sharing="x")
    values.define("copy")
    values.overwrite("row", "relu_")
    assert values.read("copy") == "copy"
    assert values.read("row") == "relu_"
    with pytest.raises(OperatorUnsupported, match=r"'x' is used after 'relu_'.*memory") as caught:
        values.read("x")
    assert "inplace=False" in caught.value.hint


def test_the_tensors_of_the_network_are_not_overwritten():
    values = Values()
    values.define("view_of_weight", owned_by_network=True)
    with pytest.raises(OperatorUnsupported, match="parameter or a buffer"):
        values.overwrite("view_of_weight", "new")


def test_names_are_used_once():
    values = Values()
    values.define("x")
    with pytest.raises(ModelCorrupt, match="two values"):
        values.define("x")
    with pytest.raises(ModelCorrupt, match="two values"):
        values.overwrite("x", "x")
    with pytest.raises(ModelCorrupt, match="before anything makes it"):
        values.read("y")


class OverwritesViewOfWhatIsRead(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        y[:, :2].relu_()
        return y


class OverwritesBuffer(OverwritesViewOfWhatIsRead):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.steps.add_(1.0)
        return self.fc(x) * self.steps


class ReadsCounter(OverwritesViewOfWhatIsRead):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x) * self.calls
        self.calls.add_(1)
        return y


class Promotes(OverwritesViewOfWhatIsRead):
    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x).half()
        y += x
        return y


@pytest.mark.parametrize("make", [OverwritesViewOfWhatIsRead, OverwritesBuffer, ReadsCounter, Promotes])
def test_networks_that_cannot_be_read_so_are_refused(export, make):
    with pytest.raises(OperatorUnsupported, match="overw"):
        read_model(export(make(), torch.ones(3, 4)))


def test_networks_that_can_have_no_trace_of_it(export):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU6(inplace=True), nn.Dropout(inplace=True), nn.SiLU(inplace=True))
    graph = read_model(export(model, torch.ones(2, 1, 4, 4))).graph
    assert [node.operator for node in graph.nodes] == [
        "aten.conv2d.default", "aten.hardtanh.default", "aten.dropout.default", "aten.silu.default",
    ]  # fmt: skip
    assert "input" in graph.nodes[2].arguments
