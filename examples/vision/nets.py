"""A small residual network for digits, and a thinner one that it can teach."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128)
THIN = (16, 32, 64)


class Stage(nn.Module):
    """A convolution of stride 2, and one more with a shortcut around it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = _convolution(inputs, outputs, stride=2)
        self.more = _convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Half as many rows and columns, ``outputs`` channels."""
        x = torch.relu(self.down(x))
        return torch.relu(x + self.more(x))


class Net(nn.Module):
    """Scores of ten classes for images (rows, 1, 32, 32)."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.layer1 = Stage(1, widths[0])
        self.layer2 = Stage(widths[0], widths[1])
        self.layer3 = Stage(widths[1], widths[2])
        self.classifier = nn.Linear(widths[2], 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows, 10)."""
        features = self.layer3(self.layer2(self.layer1(x)))
        return self.classifier(features.mean((2, 3)))


def my_net() -> nn.Module:
    """The network to train and to compress."""
    return Net(WIDTHS)


def my_student() -> nn.Module:
    """A quarter of its parameters."""
    return Net(THIN)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs))
