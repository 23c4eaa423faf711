"""Real and realistic architectures, each with inputs of any batch size and, where it takes them, of any length."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.module.architectures import attention, sequence, vision

Inputs = Callable[[int, int], tuple[Tensor, ...]]
Axes = tuple[dict[int, Any], ...]
BATCH = torch.export.Dim("batch")
LENGTH = torch.export.Dim("length", min=5, max=24)
EDGES = torch.export.Dim("edges", min=2, max=64)
OTHER = torch.export.Dim("other", min=2, max=24)


@dataclass(frozen=True)
class Architecture:
    """One network.

    Attributes:
        make: the module.
        inputs: from a batch size and a length to what the network takes.
        axes: for each input its dynamic axes, as `torch.export` takes them.
    """

    make: Callable[[], nn.Module]
    inputs: Inputs
    axes: Axes

    @property
    def takes_lengths(self) -> bool:
        """Whether an axis other than the batch is dynamic."""
        return any(len(axes) > 1 for axes in self.axes)

    def export(self, model: nn.Module, path: Path) -> Path:
        """Write the file that a user would send, by stock torch."""
        program = torch.export.export(model, self.inputs(3, 8), dynamic_shapes=self.axes)
        torch.export.save(program, path)
        return path


def _images(*shape: int, count: int = 1) -> tuple[Inputs, Axes]:
    def make(batch: int, _length: int) -> tuple[Tensor, ...]:
        return tuple(torch.rand(batch, *shape) for _ in range(count))

    return make, ({0: BATCH},) * count


def _series(*shape: int, axis: int = 1) -> tuple[Inputs, Axes]:
    """One input, whose axis `axis` is the length."""

    def make(batch: int, length: int) -> tuple[Tensor, ...]:
        return (torch.randn(batch, *shape[: axis - 1], length, *shape[axis - 1 :]),)

    return make, ({0: BATCH, axis: LENGTH},)


def _tokens(count: int) -> tuple[Inputs, Axes]:
    return lambda batch, length: (torch.randint(0, count, (batch, length)),), ({0: BATCH, 1: LENGTH},)


def _fixed(inputs: tuple[Inputs, Axes]) -> tuple[Inputs, Axes]:
    """The same at one length: torch 2.13 does not export recurrent layers with any other."""
    make, axes = inputs
    return lambda batch, _length: make(batch, 8), tuple({0: BATCH} for _ in axes)


def _two_texts(source: int, target: int) -> tuple[Inputs, Axes]:
    def make(batch: int, length: int) -> tuple[Tensor, ...]:
        return torch.randint(0, source, (batch, length)), torch.randint(0, target, (batch, length - 3))

    return make, ({0: BATCH, 1: LENGTH}, {0: BATCH, 1: OTHER})


def _masked(batch: int, length: int) -> tuple[Tensor, ...]:
    mask = torch.arange(length) < torch.randint(2, length + 1, (batch, 1))
    return torch.randint(0, 40, (batch, length)), mask.long()


def _padded(batch: int, length: int) -> tuple[Tensor, ...]:
    tokens, mask = _masked(batch, length)
    return ((tokens % 29 + 1) * mask,)


def _words(batch: int, length: int) -> tuple[Tensor, ...]:
    return torch.randint(0, 50, (batch, length)), torch.randn(batch, 4)


def _memory(batch: int, length: int) -> tuple[Tensor, ...]:
    return torch.randn(batch, 5, 8), torch.randn(batch, length, 6)


def _graph(batch: int, length: int) -> tuple[Tensor, ...]:
    return torch.randn(batch, length, 5), torch.randn(batch, length, length)


def _edges(batch: int, length: int) -> tuple[Tensor, ...]:
    source, target = torch.randint(0, length, (2, 4 * batch))
    return torch.randn(length, 5), source, target


_BY_TEXT: Axes = ({0: BATCH, 1: LENGTH},)
ARCHITECTURES = {
    "resnet18": Architecture(vision.ResNet18, *_images(3, 32, 32)),
    "mobilenet": Architecture(vision.MobileNet, *_images(3, 16, 16)),
    "vgg": Architecture(vision.vgg, *_images(3, 16, 16)),
    "unet": Architecture(vision.UNet, *_images(1, 20, 16)),
    "densenet": Architecture(vision.DenseNet, *_images(3, 8, 8)),
    "inception": Architecture(vision.Inception, *_images(3, 8, 8)),
    "shufflenet": Architecture(vision.ShuffleNet, *_images(3, 8, 8)),
    "convnext": Architecture(vision.ConvNeXt, *_images(3, 16, 16)),
    "groupnorm": Architecture(vision.GroupNormNet, *_images(3, 9, 9)),
    "superresolution": Architecture(vision.SuperResolution, *_images(1, 8, 8)),
    "onet": Architecture(vision.ONet, *_images(3, 12, 12)),
    "autoencoder": Architecture(vision.Autoencoder, *_images(1, 8, 8)),
    "siamese": Architecture(vision.Siamese, *_images(1, 8, 8, count=2)),
    "volume": Architecture(vision.Volume, *_images(1, 4, 4, 4)),
    "spatial_transformer": Architecture(vision.SpatialTransformer, *_images(1, 8, 8)),
    "lstm": Architecture(sequence.LstmClassifier, *_fixed(_tokens(30))),
    "deep_lstm": Architecture(sequence.DeepLstm, *_fixed(_series(5))),
    "projected_lstm": Architecture(sequence.ProjectedLstm, *_fixed(_series(5))),
    "seq2seq": Architecture(sequence.Seq2Seq, *_fixed(_two_texts(20, 25))),
    "plain_rnn": Architecture(sequence.PlainRnn, *_fixed(_series(4))),
    "conv_lstm": Architecture(sequence.ConvLstm, *_fixed(_series(1, 8, axis=3))),
    "tcn": Architecture(sequence.TemporalConvNet, *_series(3, axis=2)),
    "wavenet": Architecture(sequence.WaveNet, *_series(1, axis=2)),
    "shifted_right": Architecture(sequence.ShiftedRight, *_tokens(30)),
    "temporal_shift": Architecture(sequence.TemporalShift, *_series(6)),
    "voice_activity": Architecture(sequence.VoiceActivity, *_images(96)),
    "text_cnn": Architecture(sequence.TextCnn, *_tokens(40)),
    "bag_of_words": Architecture(sequence.BagOfWords, _words, ({0: BATCH, 1: LENGTH}, {0: BATCH})),
    "encoder": Architecture(attention.EncoderClassifier, _padded, _BY_TEXT),
    "translator": Architecture(attention.Translator, *_two_texts(20, 22)),
    "gpt": Architecture(attention.Gpt, *_tokens(32)),
    "vit": Architecture(attention.Vit, *_images(3, 16, 16)),
    "mlp_mixer": Architecture(attention.MlpMixer, *_images(3, 6, 6)),
    "bert": Architecture(attention.Bert, _masked, ({0: BATCH, 1: LENGTH}, {0: BATCH, 1: LENGTH})),
    "einsum": Architecture(attention.EinsumAttention, *_series(12)),
    "llama": Architecture(attention.Llama, *_tokens(28)),
    "swin": Architecture(attention.SwinBlock, *_images(4, 4, 8)),
    "cross_attention": Architecture(attention.CrossAttention, _memory, ({0: BATCH}, {0: BATCH, 1: LENGTH})),
    "mixture": Architecture(attention.Mixture, *_images(6)),
    "graph": Architecture(attention.Graph, _graph, ({0: BATCH, 1: LENGTH}, {0: BATCH, 1: LENGTH, 2: LENGTH})),
    "message_passing": Architecture(attention.MessagePassing, _edges, ({0: LENGTH}, {0: EDGES}, {0: EDGES})),
}
