"""A `.pt2` export is loaded by stock torch, and by our own reader."""

import torch
from torch import Tensor, nn

from examples.networks import DigitsCNN
from sterna import load
from sterna.export import EXPORTS
from sterna.intake import read_model
from sterna.module import build_module


class Pair(nn.Module):
    """Two inputs, two outputs, and arithmetic on the length of the batch."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(3, 6)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        x, y = torch.relu(self.left(a)), self.right(b)
        return torch.stack([x, y], 1).reshape(a.shape[0] * 2, 6), x * y


def test_stock_torch_loads_and_runs_it(pack, tmp_path):
    path = pack(DigitsCNN(), torch.randn(4, 1, 28, 28))
    EXPORTS["pt2"].write(path, tmp_path / "m.pt2")
    loaded = torch.export.load(tmp_path / "m.pt2")
    network = load(path)
    assert loaded.state_dict.keys() == network.state_dict().keys()
    for batch in (1, 2, 9):
        image = torch.randn(batch, 1, 28, 28)
        assert torch.equal(loaded.module()(image), network(image))


def test_several_inputs_and_outputs_keep_their_order_and_names(pack, tmp_path):
    path = pack(Pair(), torch.randn(4, 4), torch.randn(4, 3))
    EXPORTS["pt2"].write(path, tmp_path / "m.pt2")
    a, b = torch.randn(5, 4), torch.randn(5, 3)
    wanted = load(path)(a, b)
    loaded = torch.export.load(tmp_path / "m.pt2")
    assert loaded.graph_signature.user_inputs == ("a", "b")
    for found, other in zip(loaded.module()(a, b), wanted, strict=True):
        assert torch.equal(found, other)


def test_it_is_a_model_that_can_be_sent_again(pack, tmp_path):
    path = pack(DigitsCNN(), torch.randn(4, 1, 28, 28))
    EXPORTS["pt2"].write(path, tmp_path / "m.pt2")
    again = read_model(tmp_path / "m.pt2")
    assert [(item.name, item.shape) for item in again.graph.inputs] == [("image", (None, 1, 28, 28))]
    image = torch.randn(3, 1, 28, 28)
    assert torch.equal(build_module(again).eval()(image), load(path)(image))
