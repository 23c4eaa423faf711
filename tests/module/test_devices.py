"""Rebuilt networks on a GPU that is not there: tensors that hold nothing but say that they lie on it.

torch's fake tensors refuse an operation whose tensors lie on different devices, which is what a constant made on the
processor in the middle of a network would be. What a GPU would compute is not tried; backward passes cannot be.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from sterna.intake import read_model
from sterna.module import build_module
from tests.module.architectures import ARCHITECTURES

pytestmark = [  # what torch says of its own exporting
    pytest.mark.filterwarnings("ignore:The tensor attributes self:UserWarning"),
    pytest.mark.filterwarnings("ignore:No complete tensor found:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]


def on_gpu(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="cuda")


def move(network: nn.Module) -> None:
    """In place, as `.to("cuda")` would, which needs one."""
    for part in network.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(on_gpu(parameter), requires_grad=False)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = on_gpu(buffer)


# Batch normalisation, recurrent cells and a few others of a GPU are chosen by code that a torch without CUDA lacks.
BEYOND_FAKES = {
    *("resnet18", "mobilenet", "unet", "densenet", "inception", "shufflenet", "spatial_transformer"),
    *("seq2seq", "plain_rnn", "conv_lstm", "voice_activity", "text_cnn"),
}
CANNOT_TELL = "not linked with support for cuda|not compiled with CUDA|no fake impl"


def run_on_fake_gpu(name: str, path: Path) -> None:
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    network = build_module(read_model(architecture.export(architecture.make(), path)))
    inputs = architecture.inputs(4, 9)
    with FakeTensorMode(), torch.no_grad():
        move(network)
        for training in (True, False):
            outputs = network.train(training)(*(on_gpu(tensor) for tensor in inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            assert {output.device.type for output in outputs} == {"cuda"}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - BEYOND_FAKES))
def test_all_that_a_network_makes_lies_where_its_inputs_lie(name, tmp_path):
    run_on_fake_gpu(name, tmp_path / "model.pt2")


@pytest.mark.skipif(torch.backends.cuda.is_built(), reason="this torch has what the fakes lack")
@pytest.mark.parametrize("name", sorted(BEYOND_FAKES))
def test_what_fakes_cannot_tell_is_known(name, tmp_path):
    """No network is in that list because a tensor lay in the wrong place."""
    with pytest.raises((RuntimeError, AssertionError), match=CANNOT_TELL):
        run_on_fake_gpu(name, tmp_path / "model.pt2")


def test_a_constant_on_the_processor_would_be_noticed():
    with FakeTensorMode(), pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu"):
        on_gpu(torch.empty(3)) + torch.arange(3)
