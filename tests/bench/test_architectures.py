"""The census of architectures, taken of networks of plain torch: torch and ONNX Runtime say what is right."""

import os
import threading

import pytest
import torch
from torch import nn

from bench.architectures.census import Journal
from bench.architectures.children import Stopped, told
from bench.architectures.examine import Row, examine, odd_gradient, same
from bench.architectures.networks import Network
from bench.architectures.report import causes, page
from bench.architectures.ways import WAYS

pytestmark = pytest.mark.filterwarnings("ignore")  # what exporters warn of is theirs


class Small(nn.Module):
    """Two layers, and whatever is done between them."""

    def __init__(self, between=torch.relu):
        super().__init__()
        self.first, self.last, self.between = nn.Linear(4, 6), nn.Linear(6, 2), between

    def forward(self, *inputs):
        return (self.last(self.between(self.first(inputs[0]))),)


def network(module):
    return Network(type(module).__name__, module.eval(), lambda size: (torch.randn(size, 4),))


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_network_is_fine_in_every_way(way):
    assert examine("small", network(Small()), way) == Row("small", "Small", way, "fine", "", 2)


def test_what_is_refused_is_told_with_its_operators():
    row = examine("small", network(Small(torch.special.bessel_j0)), "pt2")
    assert row.verdict == "refused"
    assert causes(row) == ["aten.special_bessel_j0.default"]


def test_what_torch_does_not_export_is_not_held_against_us():
    row = examine("small", network(Small(lambda wide: wide if wide.sum() > 0 else -wide)), "pt2-dynamic")
    assert row.verdict == "not exported"
    assert "data-dependent" in row.detail


def test_a_file_of_one_size_is_the_exporters_doing():
    row = examine("small", network(Small(lambda wide: wide.view(int(wide.shape[0]), 6))), "onnx")
    assert row.verdict == "does not run"
    assert row.detail.startswith("the export's at 2")


class KeepsTraining(Small):
    """Its statistics are those of the batch on purpose, which the rebuilt network does not reproduce."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, *inputs):
        self.norm.train()
        return super().forward(self.norm(inputs[0]))


def test_what_torch_itself_computes_and_we_do_not_is_ours():
    row = examine("small", network(KeepsTraining()), "pt2")
    assert row.verdict == "differs"
    assert row.detail.startswith("ours at 3: ")


class DoesNotTrain(Small):
    def forward(self, *inputs):
        if self.training:
            raise ValueError("no labels")
        return super().forward(*inputs)


def test_an_original_that_does_not_train_is_not_held_against_us():
    row = examine("small", network(DoesNotTrain()), "pt2")
    assert (row.verdict, row.detail) == ("fine", "the original does not train so: ValueError: no labels")


def test_what_is_frozen_there_and_trained_here_is_noted():
    module = Small()
    module.first.weight.requires_grad_(False)
    row = examine("small", network(module), "pt2")
    assert (row.verdict, row.detail) == ("fine", "frozen in the original and trained here: first.weight")


class TrainsOtherwise(Small):
    def forward(self, *inputs):
        (result,) = super().forward(*inputs)
        return (result * 2 if self.training else result,)


def test_rules_that_an_export_in_evaluation_does_not_have_are_noted():
    row = examine("small", network(TrainsOtherwise()), "pt2")
    assert row.verdict == "fine"
    assert row.detail.startswith("trains by other rules")


def test_a_gradient_that_differs_is_found_and_statistics_are_left_alone():
    torch.manual_seed(0)
    one, other = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2)), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    other.load_state_dict(one.state_dict())
    inputs = (torch.randn(5, 4),)
    assert odd_gradient(one, other, inputs) == ""
    other[1].register_full_backward_hook(lambda _module, given, _got: (given[0] * 1.01,))
    assert odd_gradient(one, other, inputs) == "0.weight"
    assert torch.equal(one[0].running_mean, torch.zeros(4))


def test_close_is_by_the_greatest_value_that_is_no_mask_and_nan_equals_nan():
    large = torch.tensor([1e4, 0.0, float("nan"), -float("inf"), torch.finfo(torch.float32).min])
    assert same((large + torch.tensor([0.0, 0.05, 0.0, 0.0, 0.0]),), (large,))
    assert not same((large + torch.tensor([0.0, 0.2, 0.0, 0.0, 0.0]),), (large,))
    assert not same((large,), (large, large))
    assert not same((large[:2],), (large,))


def test_a_process_tells_until_it_ends_dies_or_hangs():
    def counting(tell):
        for number in range(3):
            tell(number)

    def dying(tell):
        tell(0)
        os._exit(7)

    assert list(told(counting, 20)) == [0, 1, 2]
    results = told(dying, 20)
    assert next(results) == 0
    with pytest.raises(Stopped, match="ended with 7"):
        next(results)
    with pytest.raises(Stopped, match="after 0 s"):
        next(told(lambda _tell: threading.Event().wait(), 0.1))


def test_an_interrupted_census_goes_on(tmp_path):
    journal = Journal(tmp_path / "rows.jsonl")
    journal.add(Row("bert", "Bert", "pt2", "refused", "OPERATOR_UNSUPPORTED: not on the allow-list: 'a.b', 'a.c'"))
    journal.add(Row("odd", "", "", "not built", "ValueError: why"))
    read = Journal(tmp_path / "rows.jsonl")
    assert read.left("bert", ["pt2", "onnx"]) == ["onnx"]
    assert read.left("bert", ["pt2", "onnx"], ["refused"]) == ["pt2", "onnx"]
    assert read.left("odd", ["pt2"]) == []
    assert read.left("odd", ["pt2"], ["not built"]) == ["pt2"]
    read.add(Row("bert", "Bert", "pt2", "fine", layers=3))
    read.add(Row("odd", "Odd", "pt2", "fine", layers=1))
    assert [(row.network, row.verdict) for row in Journal(tmp_path / "rows.jsonl").rows] == [
        ("bert", "fine"),
        ("odd", "fine"),
    ]


def test_what_is_not_built_any_more_has_no_other_row(tmp_path):
    journal = Journal(tmp_path / "rows.jsonl")
    for way in ("pt2", "onnx"):
        journal.add(Row("bert", "Bert", way, "fine", layers=3))
    journal.add(Row("bert", "", "", "not built", "ValueError: why"))
    assert [row.verdict for row in journal.rows] == ["not built"]


def test_the_page_counts_each_operator_with_each_network_that_it_stops():
    pytest.importorskip("transformers", reason="the page names its version")
    refusal = "OPERATOR_UNSUPPORTED: operators that are not on the allow-list: "
    rows = [
        Row("bert", "Bert", "pt2", "refused", refusal + "'a.b', 'a.c'"),
        Row("gpt", "Gpt", "pt2", "refused", refusal + "'a.b'"),
        Row("gpt", "Gpt", "onnx", "fine", layers=4),
        Row("odd", "", "", "not built", "ValueError: a | b\nc"),
    ]
    text = page(rows, [])
    assert "| pt2 | 0 | 2 | 0 | 0 | 0 | 0 | 0% |" in text
    assert "| a.b | 2 |  |  |  | bert, gpt |" in text
    assert "| a.c | 1 |  |  |  | bert |" in text
    assert "| gpt | Gpt | 4 | refused |  | fine |  |" in text
    assert "| odd | ValueError: a \\| b c |" in text
