"""A keyword spotter: convolutions over time, then a GRU that says what it heard."""

from __future__ import annotations

from features import BANDS
from sounds import CLASSES
from torch import Tensor, nn

WIDTHS = (96, 192, 192, 64)
STRIDES = (1, 2, 1, 2)
HIDDEN = 32


class Spotter(nn.Module):
    """Scores of the classes for features (rows, 40, frames)."""

    def __init__(self) -> None:
        super().__init__()
        ends = zip((BANDS, *WIDTHS), WIDTHS, STRIDES, strict=False)
        self.convolutions = nn.Sequential(*(layer for each in ends for layer in _convolution(*each)))
        self.gru = nn.GRU(WIDTHS[-1], HIDDEN, batch_first=True)
        self.classifier = nn.Linear(HIDDEN, len(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows, 12)."""
        heard, _ = self.gru(self.convolutions(x).transpose(1, 2))
        return self.classifier(heard[:, -1])


def spotter() -> nn.Module:
    """The network to train and to compress."""
    return Spotter()


def _convolution(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv1d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
