"""The two small networks of the examples."""

from __future__ import annotations

from torch import Tensor, nn


class DigitsCNN(nn.Module):
    """Convolutions with batch norm and dropout for 28×28 grey images: (batch, 1, 28, 28) → (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 16, 14, 14)
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 32, 7, 7)
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (batch, 1568)
            nn.Linear(32 * 7 * 7, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.25),
            nn.Linear(128, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the ten digits."""
        logits: Tensor = self.head(self.features(image))
        return logits


class DigitsMLP(nn.Module):
    """Three linear layers with batch norm for 8×8 digits: (batch, 64) → (batch, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(128, 10),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits of the ten digits."""
        logits: Tensor = self.layers(pixels)
        return logits
