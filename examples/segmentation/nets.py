"""A U-Net (Ronneberger et al. 2015) that works at half of the resolution and answers at the whole one."""

from __future__ import annotations

from itertools import pairwise

import torch
from scenes import CLASSES
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128)


class UNet(nn.Module):
    """Scores of the classes for each pixel of pictures (rows, 3, height, width); both sides are multiples of 16."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = _convolution(3, widths[0], stride=2)
        self.down = nn.ModuleList(_pair(*ends) for ends in zip((widths[0], *widths), widths, strict=False))
        self.up = nn.ModuleList(_pair(low + high, high) for high, low in pairwise(widths))
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2)
        self.classifier = nn.Conv2d(widths[0], 4 * len(CLASSES), 1)
        self.spread = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (rows, classes, height, width)."""
        seen = [self.down[0](self.stem(x))]
        for level in self.down[1:]:
            seen.append(level(self.pool(seen[-1])))
        x = seen.pop()
        for level in reversed(self.up):
            x = level(torch.cat([self.grow(x), seen.pop()], 1))
        return self.spread(self.classifier(x))


def unet() -> nn.Module:
    """The network to train and to compress."""
    return UNet(WIDTHS)


def _pair(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(_convolution(inputs, outputs), _convolution(outputs, outputs))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
