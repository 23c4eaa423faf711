"""Transformers and their kin."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name


class EncoderClassifier(nn.Module):
    """`nn.TransformerEncoder` with positions by sine, and a mask of what is padding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 16, padding_idx=0)
        layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True, activation="gelu", norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        position = torch.arange(64).unsqueeze(1)
        rate = torch.exp(torch.arange(0, 16, 2) * (-math.log(1e4) / 16))
        table = torch.stack([torch.sin(position * rate), torch.cos(position * rate)], -1).flatten(1)
        self.register_buffer("positions", table, persistent=False)
        self.fc = nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        x = self.embed(tokens) * math.sqrt(16) + self.positions[: tokens.size(1)]
        x = self.encoder(x, src_key_padding_mask=padding)
        x = x.masked_fill(padding.unsqueeze(-1), 0.0)
        return self.fc(x.sum(1) / (~padding).sum(1, keepdim=True).clamp(min=1))


class Translator(nn.Module):
    """`nn.Transformer`: an encoder, and a decoder with a causal mask."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(20, 8), nn.Embedding(22, 8)
        self.transformer = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
        self.out = nn.Linear(8, 22)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        x = self.transformer(self.source(source), self.target(target), tgt_mask=mask, tgt_is_causal=True)
        return self.out(x)


class CausalBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = self.attn(self.ln_1(x)).split(width, dim=2)
        q, k, v = (y.view(batch, time, self.heads, -1).transpose(1, 2) for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if self.training else 0.0, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).contiguous().view(batch, time, width))
        return x + self.down(F.gelu(self.up(self.ln_2(x))))


class Gpt(nn.Module):
    """Radford et al., 2019: causal attention, learned positions, and a head that is the embedding."""

    def __init__(self, vocabulary: int = 32, width: int = 16, context: int = 24):
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(CausalBlock(width, 2) for _ in range(2))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.size(1), device=tokens.device)
        x = self.wte(tokens) + self.wpe(positions)
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Vit(nn.Module):
    """Dosovitskiy et al., 2021: patches by a convolution, a class token, learned positions."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 16))
        self.pos = nn.Parameter(torch.randn(1, 17, 16) * 0.02)
        self.attn = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.1), nn.Linear(32, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], dim=1) + self.pos
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return self.head((x + self.mlp(self.norm2(x)))[:, 0])


class MlpMixer(nn.Module):
    """Tolstikhin et al., 2021."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Linear(12, 16)
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
        self.tokens = nn.Sequential(nn.Linear(9, 12), nn.GELU(), nn.Linear(12, 9))
        self.channels = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.head = nn.Linear(16, 6)

    def forward(self, image: Tensor) -> Tensor:
        batch = image.shape[0]
        patches = image.reshape(batch, 3, 3, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(batch, 9, 12)
        x = self.patch(patches)
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norms[1](x))
        return self.head(self.norms[2](x).mean(dim=1))


class Bert(nn.Module):
    """Devlin et al., 2019, written out: three embeddings, an additive mask made of 0 and 1, a pooler, two heads."""

    def __init__(self):
        super().__init__()
        self.word, self.position, self.kind = nn.Embedding(40, 16), nn.Embedding(32, 16), nn.Embedding(2, 16)
        self.register_buffer("position_ids", torch.arange(32).unsqueeze(0), persistent=False)
        self.norm, self.norm1, self.norm2 = nn.LayerNorm(16, 1e-12), nn.LayerNorm(16), nn.LayerNorm(16)
        self.query, self.key, self.value, self.dense = (nn.Linear(16, 16) for _ in range(4))
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)
        self.pooler, self.classifier, self.spans = nn.Linear(16, 16), nn.Linear(16, 2), nn.Linear(16, 2)
        self.dropout = nn.Dropout(0.1)

    def heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], 4, 4).permute(0, 2, 1, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kinds = torch.zeros_like(input_ids)
        x = self.word(input_ids) + self.position(self.position_ids[:, : input_ids.size(1)]) + self.kind(kinds)
        x = self.dropout(self.norm(x))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        scores = self.heads(self.query(x)) @ self.heads(self.key(x)).transpose(-1, -2) / math.sqrt(4)
        weights = self.dropout(F.softmax(scores + mask, dim=-1))
        y = (weights @ self.heads(self.value(x))).permute(0, 2, 1, 3).contiguous().flatten(2)
        x = self.norm1(x + self.dense(y))
        x = self.norm2(x + self.down(F.gelu(self.up(x))))
        starts, ends = self.spans(x).unbind(-1)
        return self.classifier(torch.tanh(self.pooler(x[:, 0]))), starts, ends


class EinsumAttention(nn.Module):
    """Attention written with einsum, weights in three axes included."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Parameter(torch.randn(12, 3, 4) * 0.3) for _ in range(3))
        self.o = nn.Parameter(torch.randn(3, 4, 12) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("btd,dhk->bhtk", x, w) for w in (self.q, self.k, self.v))
        scores = torch.einsum("bhik,bhjk->bhij", q, k).softmax(-1)
        return torch.einsum("bhij,bhjk,hkd->bid", scores, v, self.o)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Llama(nn.Module):
    """Touvron et al., 2023: rotary positions, RMS normalisation, grouped keys, gated units."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(28, 16)
        self.norm1, self.norm2 = nn.RMSNorm(16), nn.RMSNorm(16)
        self.q, self.k, self.v = nn.Linear(16, 16, False), nn.Linear(16, 8, False), nn.Linear(16, 8, False)
        self.o = nn.Linear(16, 16, False)
        self.gate, self.up, self.down = nn.Linear(16, 24, False), nn.Linear(16, 24, False), nn.Linear(24, 16, False)
        self.register_buffer("rate", 1.0 / (1e4 ** (torch.arange(0, 4, 2).float() / 4)), persistent=False)
        self.head = nn.Linear(16, 28, False)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, time = tokens.shape
        x = self.embed(tokens)
        with torch.no_grad():
            angles = torch.outer(torch.arange(time).float(), self.rate)
            angles = torch.cat([angles, angles], -1)
            cos, sin = angles.cos(), angles.sin()
        y = self.norm1(x)
        q = rotate(self.q(y).view(batch, time, 4, 4).transpose(1, 2), cos, sin)
        k = rotate(self.k(y).view(batch, time, 2, 4).transpose(1, 2), cos, sin)
        v = self.v(y).view(batch, time, 2, 4).transpose(1, 2)
        k, v = k.repeat_interleave(2, dim=1), v.repeat_interleave(2, dim=1)
        scores = (q @ k.mT) / 2 + torch.triu(torch.full((time, time), float("-inf")), diagonal=1)
        attended = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype) @ v
        x = x + self.o(attended.transpose(1, 2).reshape(batch, time, -1))
        y = self.norm2(x)
        return self.head(x + self.down(F.silu(self.gate(y)) * self.up(y)))


class SwinBlock(nn.Module):
    """Liu et al., 2021: windows by views and rolls, biases looked up by relative position."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.bias_table = nn.Parameter(torch.randn(9, 2) * 0.1)
        grid = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(2), indexing="ij")).flatten(1)
        relative = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + 1
        self.register_buffer("index", (relative[..., 0] * 3 + relative[..., 1]).flatten())

    def forward(self, x: Tensor) -> Tensor:  # (batch, 4, 4, 8)
        batch = x.shape[0]
        y = torch.roll(self.norm(x), shifts=(-1, -1), dims=(1, 2))
        y = y.view(batch, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 8)
        q, k, v = self.qkv(y).reshape(-1, 4, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.bias_table[self.index].view(4, 4, 2).permute(2, 0, 1)
        weights = (q * 0.5 @ k.transpose(-2, -1) + bias.unsqueeze(0)).softmax(-1)
        y = self.proj((weights @ v).transpose(1, 2).reshape(-1, 4, 8))
        y = y.view(batch, 2, 2, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(batch, 4, 4, 8)
        return x + torch.roll(y, shifts=(1, 1), dims=(1, 2))


class CrossAttention(nn.Module):
    """Queries over a memory of another width and length: `nn.MultiheadAttention` cuts its packed weight."""

    def __init__(self):
        super().__init__()
        self.same = nn.MultiheadAttention(8, 2, batch_first=True)
        self.other = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True, add_bias_kv=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        x, _ = self.same(queries, queries.flip(1), queries.flip(1), need_weights=False)
        x, weights = self.other(x, memory, memory)
        return self.fc(x), weights


class Mixture(nn.Module):
    """Experts in one stacked weight, mixed by a gate that keeps the best two."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(6, 4)
        self.up = nn.Parameter(torch.randn(4, 6, 10) * 0.3)
        self.down = nn.Parameter(torch.randn(4, 10, 6) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        best, index = self.gate(x).topk(2, dim=-1)
        shares = torch.zeros(x.shape[0], 4).scatter(1, index, best.softmax(-1))
        hidden = F.relu(torch.bmm(x.expand(4, -1, -1), self.up))
        return torch.einsum("ebd,be->bd", torch.bmm(hidden, self.down), shares)


class Graph(nn.Module):
    """Kipf and Welling, 2017: features are mixed along the edges of a graph that comes as a matrix."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8, False), nn.Linear(8, 3, False)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        adjacency = (adjacency > 0).float() + torch.eye(adjacency.shape[-1])
        degree = adjacency.sum(-1).pow(-0.5)
        norm = degree.unsqueeze(-1) * adjacency * degree.unsqueeze(-2)
        return norm @ self.second(F.relu(norm @ self.first(features)))


class MessagePassing(nn.Module):
    """The same along edges that come as pairs of nodes: messages are added up where they arrive."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, features: Tensor, source: Tensor, target: Tensor) -> Tensor:
        x = self.first(features)
        sums = torch.zeros(x.shape[0], 8).index_add_(0, target, x[source])
        counts = x.new_zeros(x.shape[0]).index_add(0, target, torch.ones(target.shape[0])).clamp_(min=1)
        best = torch.zeros_like(x).scatter_reduce(0, target[:, None].expand(-1, 8), x[source], "amax")
        return self.second(F.relu(x + sums / counts[:, None] + best))
