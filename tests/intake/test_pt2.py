import mmap

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sterna.errors import ModelTooLarge, OperatorUnsupported
from sterna.graph import Input, TensorInfo
from sterna.intake import Limits, inspect_model, read_model
from sterna.module import build_module


def cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(64, 3))


@pytest.mark.parametrize("training", [True, False])
def test_tensors_are_those_of_the_module(export, training):
    model = cnn().train(training)
    network = read_model(export(model, torch.ones(2, 1, 6, 6)))
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("tracked")}
    parameters = dict(model.named_parameters())
    assert network.tensors.keys() == state.keys()
    for name, tensor in state.items():
        kind = "parameter" if name in parameters else "buffer"
        assert network.graph.tensors[name] == TensorInfo(kind, "float32", tuple(tensor.shape))
        np.testing.assert_array_equal(network.tensors[name], tensor.numpy())
        assert not network.tensors[name].flags.writeable


def test_inputs_have_their_names_and_free_axes(export):
    network = read_model(export(cnn(), torch.ones(2, 1, 6, 6)))
    assert network.graph.inputs == (Input("input", "float32", (None, 1, 6, 6)),)
    fixed = read_model(export(cnn(), torch.ones(2, 1, 6, 6), dynamic=False))
    assert fixed.graph.inputs[0].shape == (2, 1, 6, 6)


def test_tensors_are_mapped_not_loaded(export):
    network = read_model(export(cnn(), torch.ones(2, 1, 6, 6)))
    base = network.tensors["0.weight"]
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base if not isinstance(base.base, memoryview) else base.base.obj
    assert isinstance(base, np.memmap | mmap.mmap)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool],
)
def test_element_types(export, dtype):
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("held", torch.tensor([0, 1, 1]).to(dtype))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.held

    model = Holder()
    network = read_model(export(model, torch.ones(2, 3)))
    assert network.graph.tensors["held"].dtype == str(dtype).removeprefix("torch.")
    assert torch.equal(build_module(network).state_dict()["held"], model.held)


def test_tensors_that_are_not_contiguous(export):
    model = nn.Linear(4, 6)
    model.weight = nn.Parameter(torch.arange(24.0).reshape(4, 6).t())
    assert not model.weight.is_contiguous()
    with pytest.warns(UserWarning, match="complete tensor"):  # torch says so of its own writing
        path = export(model, torch.ones(2, 4))
    np.testing.assert_array_equal(read_model(path).tensors["weight"], np.arange(24.0).reshape(4, 6).T)


def test_tensors_that_are_parts_of_one_storage(export):
    model = nn.Linear(3, 2)
    storage = torch.arange(10.0)
    model.weight = nn.Parameter(storage[2:8].view(2, 3))
    model.bias = nn.Parameter(storage[8:])
    with pytest.warns(UserWarning, match="complete tensor"):
        path = export(model, torch.ones(2, 3))
    tensors = read_model(path).tensors
    np.testing.assert_array_equal(tensors["weight"], [[2, 3, 4], [5, 6, 7]])
    np.testing.assert_array_equal(tensors["bias"], [8, 9])


class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert x.shape[1] > 1
        half = x.shape[1] // 2
        return self.fc(x[:, :half].reshape(x.shape[0] * half, 4)), x[:, -half:] * (half * 2 - x.shape[1] + 3)


def test_sizes_are_computed_by_the_network_itself(tmp_path):
    path = tmp_path / "model.pt2"
    auto = torch.export.Dim.AUTO
    torch.export.save(torch.export.export(Sizes(), (torch.ones(3, 6, 4),), dynamic_shapes=({0: auto, 1: auto},)), path)
    network = read_model(path)
    assert network.graph.inputs[0].shape == (None, None, 4)
    operators = {node.operator for node in network.graph.nodes}
    assert {"int.floordiv", "int.mul", "int.neg", "int.sub"} <= operators
    assert not any("assert" in name for name in operators)
    original = Sizes()
    rebuilt = build_module(network)
    original.load_state_dict(rebuilt.state_dict())
    for rows, columns in ((2, 8), (5, 9)):
        x = torch.randn(rows, columns, 4)
        for found, wanted in zip(rebuilt(x), original(x), strict=True):
            torch.testing.assert_close(found, wanted)


class Returns(nn.Module):
    def __init__(self, what: str):
        super().__init__()
        self.fc = nn.Linear(4, 2)
        self.what = what

    def forward(self, x: Tensor, scale: float = 2.0) -> dict[str, Tensor] | tuple[Tensor, ...]:
        y = self.fc(x) * scale
        return {"dict": {"b": y, "a": x}, "weight": (y, self.fc.weight), "size": (y, x.shape[0]), "none": (y, None)}[
            self.what
        ]


@pytest.mark.parametrize("what", ["dict", "weight"])
def test_nested_outputs_become_a_tuple(export, what):
    model = Returns(what)
    rebuilt = build_module(read_model(export(model, torch.ones(3, 4))))
    x = torch.randn(2, 4)
    wanted = model(x)
    wanted = wanted.values() if isinstance(wanted, dict) else wanted
    for found, one in zip(rebuilt(x), wanted, strict=True):
        torch.testing.assert_close(found, one)


def test_outputs_are_tensors(export):
    with pytest.raises(OperatorUnsupported, match="outputs are tensors"):
        read_model(export(Returns("size"), torch.ones(3, 4)))


def test_an_output_that_is_none_is_left_out(export):
    model = Returns("none")
    x = torch.randn(2, 4)
    torch.testing.assert_close(build_module(read_model(export(model, torch.ones(3, 4))))(x), model(x)[0])


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch's own
def test_decomposed_networks_are_refused_with_the_remedy(tmp_path):
    path = tmp_path / "model.pt2"
    program = torch.export.export(cnn(), (torch.ones(2, 1, 6, 6),)).run_decompositions()
    torch.export.save(program, path)
    with pytest.raises(OperatorUnsupported) as caught:
        read_model(path)
    assert "run_decompositions" in caught.value.hint


class Moves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(3).to(x.device, torch.float64) * x.to("cpu") + x.to(device=x.device, dtype=torch.float64)


def test_where_to_run_is_left_out(export):
    network = read_model(export(Moves(), torch.ones(2, 3)))
    assert not any(
        name in {"device", "layout", "pin_memory"} for node in network.graph.nodes for name in node.arguments
    )
    x = torch.randn(4, 3)
    torch.testing.assert_close(build_module(network)(x), Moves()(x))


class Unread(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(torch.linalg.qr(x).R).abs()


def test_operators_that_are_not_read_are_named(export):
    with pytest.raises(OperatorUnsupported, match=r"'aten\.linalg_qr\.default', 'aten\.fft_rfft\.default'"):
        read_model(export(Unread(), torch.ones(3, 4)))


class Beside(nn.Module):
    """Computes what it does not give back, as models of transformers do with a loss where they are given labels."""

    def forward(self, x: Tensor) -> Tensor:
        nn.functional.cross_entropy(x, torch.fft.rfft(x).abs()[:, :1].expand(-1, 4))
        return x.relu()


def test_what_is_not_given_back_is_not_read(export):
    network = read_model(export(Beside(), torch.ones(3, 4)))
    assert [node.operator for node in network.graph.nodes] == ["aten.relu.default"]


class Chooses(nn.Module):
    def __init__(self, mask: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return x[x > 0].mean() + x if self.mask is None else x[:, self.mask]


def test_elements_by_a_mask_of_the_data_are_refused(export):
    with pytest.raises(OperatorUnsupported, match="how many these are only the data tells"):
        read_model(export(Chooses(None), torch.randn(3, 4)))


def test_elements_by_a_mask_that_is_fixed_are_read(export):
    model, x = Chooses(torch.tensor([True, False, True, True])), torch.randn(5, 4)
    torch.testing.assert_close(build_module(read_model(export(model, torch.ones(3, 4))))(x), model(x))


def test_memory_is_bounded_before_it_is_taken(export):
    path = export(cnn(), torch.ones(2, 1, 6, 6))
    with pytest.raises(ModelTooLarge, match="at most 100"):
        inspect_model(path, limits=Limits(max_model_bytes=100))
