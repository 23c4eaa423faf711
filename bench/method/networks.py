"""The bench networks that the examples do not have: a small residual network and a small transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class ResidualBlock(nn.Module):
    """relu(x' + BN(conv(relu(BN(conv(x)))))), where x' is x, or a 1×1 convolution of it when the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.skip = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, h, w) → (batch, out, h / stride, w / stride)."""
        inner = functional.relu(self.norm1(self.conv1(x)))
        result: Tensor = functional.relu(self.skip(x) + self.norm2(self.conv2(inner)))
        return result


class ResidualNetwork(nn.Module):
    """Eight convolutions in three residual blocks: (batch, 1, 28, 28) → (batch, 10) logits. 77,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(ResidualBlock(16, 16, 1), ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the ten classes."""
        features = self.blocks(self.stem(image))  # (batch, 64, 4, 4)
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward: (batch, time, width) → the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """One layer of the encoder."""
        batch, time, width = x.shape
        mixed = self.query_key_value(self.norm1(x)).view(batch, time, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # (batch, heads, time, width / heads) each
        attended = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.dropout(self.project(attended.transpose(1, 2).reshape(batch, time, width)))
        return x + self.dropout(self.narrow(functional.gelu(self.widen(self.norm2(x)))))


class SeriesTransformer(nn.Module):
    """Two encoder layers over a series: (batch, 46, 1) → (batch, 24) logits. 70,000 weights."""

    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(1, width)
        self.position = nn.Parameter(nn.init.normal_(torch.empty(46, width), std=0.02))
        self.layers = nn.Sequential(EncoderLayer(width, heads), EncoderLayer(width, heads))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 24)

    def forward(self, series: Tensor) -> Tensor:
        """Logits of the 24 classes."""
        x = self.layers(self.embed(series) + self.position)
        logits: Tensor = self.head(self.norm(x).mean(1))
        return logits
