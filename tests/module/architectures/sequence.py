"""Networks on sequences without attention: recurrent and convolutional ones."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  its usual name


class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.fc = nn.Linear(12, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(self.embed(tokens))
        return self.fc(hidden[-1])


class DeepLstm(nn.Module):
    """Two layers in two directions with dropout between them, and mean over time."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 7, num_layers=2, bidirectional=True, dropout=0.2, batch_first=True)
        self.norm = nn.LayerNorm(14)
        self.fc = nn.Linear(14, 3)

    def forward(self, series: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states, (hidden, cell) = self.lstm(series)
        return self.fc(self.norm(states.mean(dim=1))), hidden.transpose(0, 1), cell.transpose(0, 1)


class ProjectedLstm(nn.Module):
    """An LSTM with a projection: a third weight matrix, weight_hr_l0."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 8, proj_size=3)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.lstm(series.transpose(0, 1))
        return states[-1]


class Seq2Seq(nn.Module):
    """A GRU reads, its last state starts another GRU that writes; source and target have lengths of their own."""

    def __init__(self):
        super().__init__()
        self.source = nn.Embedding(20, 6)
        self.target = nn.Embedding(25, 6)
        self.encoder = nn.GRU(6, 10, batch_first=True)
        self.decoder = nn.GRU(6, 10, batch_first=True)
        self.out = nn.Linear(10, 25)

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        _, state = self.encoder(self.source(source))
        states, last = self.decoder(self.target(target), state)
        return self.out(states), last.squeeze(0)


class PlainRnn(nn.Module):
    """The simple recurrent network, and cells in a loop that the export unrolls."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 6, nonlinearity="relu", batch_first=True)
        self.tanh = nn.RNN(6, 5, batch_first=True)
        self.cell, self.gru = nn.LSTMCell(5, 5), nn.GRUCell(5, 5)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.tanh(self.rnn(series)[0])
        hidden = torch.zeros(series.size(0), 5)
        cell = torch.zeros_like(hidden)
        for step in range(3):
            hidden, cell = self.cell(states[:, step], (hidden, cell))
        return self.gru(cell, hidden)


class ConvLstm(nn.Module):
    """Convolutions, then an LSTM over time: what recognises speech and text in images."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d((2, 1)))
        self.lstm = nn.LSTM(24, 8, bidirectional=True)
        self.out = nn.Linear(16, 11)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image)  # (batch, 6, 4, time)
        x = x.flatten(1, 2).permute(2, 0, 1)
        states, _ = self.lstm(x)
        return F.log_softmax(self.out(states), dim=-1).transpose(0, 1)


class TemporalBlock(nn.Module):
    def __init__(self, cin: int, cout: int, dilation: int):
        super().__init__()
        self.padding = 2 * dilation
        self.conv1 = nn.Conv1d(cin, cout, 3, padding=self.padding, dilation=dilation)
        self.conv2 = nn.Conv1d(cout, cout, 3, padding=self.padding, dilation=dilation)
        self.skip = nn.Conv1d(cin, cout, 1) if cin != cout else nn.Identity()
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop(F.relu(self.conv1(x)[:, :, : -self.padding]))
        y = self.drop(F.relu(self.conv2(y)[:, :, : -self.padding]))
        return F.relu(y + self.skip(x))


class TemporalConvNet(nn.Module):
    """Bai et al., 2018: causal dilated convolutions whose surplus is cut off."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(TemporalBlock(3, 8, 1), TemporalBlock(8, 8, 2))
        self.fc = nn.Linear(8, 5)

    def forward(self, series: Tensor) -> Tensor:
        return self.fc(self.blocks(series)[:, :, -1])


class WaveNet(nn.Module):
    """van den Oord et al., 2016: gated convolutions with skips, causal by padding on the left."""

    def __init__(self):
        super().__init__()
        self.front = nn.Conv1d(1, 6, 1)
        self.gates = nn.ModuleList(nn.Conv1d(6, 12, 2, dilation=2**i) for i in range(3))
        self.mixes = nn.ModuleList(nn.Conv1d(6, 6, 1) for _ in range(3))
        self.out = nn.Conv1d(6, 9, 1)

    def forward(self, wave: Tensor) -> Tensor:
        x = self.front(wave)
        skips = torch.zeros_like(x)
        for gate, mix in zip(self.gates, self.mixes, strict=True):
            signal, control = gate(F.pad(x, (gate.dilation[0], 0))).split(6, dim=1)
            y = mix(torch.tanh(signal) * torch.sigmoid(control))
            skips = skips + y
            x = x + y
        return self.out(F.relu(skips))


class VoiceActivity(nn.Module):
    """Frames by unfolding, a window, convolutions with gated units, pooling: small audio networks."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))
        self.conv = nn.Conv1d(16, 12, 3, stride=2, padding=1)
        self.out = nn.Linear(6, 2)

    def forward(self, wave: Tensor) -> Tensor:
        frames = wave.unfold(-1, 16, 8) * self.window  # (batch, frames, 16)
        energy = torch.log1p(frames.abs()).transpose(1, 2)
        y = F.glu(self.conv(energy), dim=1)
        mean, deviation = y.mean(-1), y.std(-1)
        return self.out(mean / (deviation + 1e-3))


class TextCnn(nn.Module):
    """Kim, 2014: convolutions of three widths over words, the greatest of each."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 6)
        self.convs = nn.ModuleList(nn.Conv1d(6, 4, width) for width in (2, 3, 4))
        self.fc = nn.Linear(12, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens).permute(0, 2, 1)
        return self.fc(torch.cat([F.relu(conv(x)).max(dim=2)[0] for conv in self.convs], 1))


class BagOfWords(nn.Module):
    """Bags of embeddings, and numbers beside them: what ranks and recommends."""

    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(50, 8, mode="mean")
        self.dense = nn.Sequential(nn.Linear(4, 8), nn.Tanhshrink())
        self.cross = nn.Bilinear(8, 8, 5)

    def forward(self, words: Tensor, numbers: Tensor) -> Tensor:
        return self.cross(self.bag(words), self.dense(numbers))


class ShiftedRight(nn.Module):
    """Written as BART shifts its targets: into zeros, slice by slice, and padding is masked in place."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.mix = nn.Conv1d(8, 8, 3)
        self.head = nn.Linear(8, 30)

    def forward(self, targets: Tensor) -> Tensor:
        shifted = targets.new_zeros(targets.shape)
        shifted[:, 1:] = targets[:, :-1].clone()
        shifted[:, 0] = 2
        shifted.masked_fill_(shifted == 7, 1)
        x = self.embed(shifted)
        x[:, 0] *= 0.5
        past = F.pad(x.transpose(1, 2), (2, 0))
        return self.head(x + F.relu(self.mix(past)).transpose(1, 2))


class TemporalShift(nn.Module):
    """Lin et al., 2019: some channels are taken from the moment before, some from the one after."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, series: Tensor) -> Tensor:
        x = self.up(series)
        shifted = torch.empty_like(x)
        shifted[:, :-1, :2] = x[:, 1:, :2]
        shifted[:, -1, :2].zero_()
        shifted[:, 1:, 2:4] = x[:, :-1, 2:4]
        shifted[:, 0, 2:4].fill_(0.1)
        shifted[:, :, 4:] = x[:, :, 4:]
        return self.down(F.relu_(shifted))
