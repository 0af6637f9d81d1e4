"""An anchor-free detector (as FCOS, Tian et al. 2019) that looks for small, middle and large shapes at three scales."""

from __future__ import annotations

from itertools import pairwise

import torch
from scenes import CLASSES, SIDE
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128, 128)
"""Channels at strides of 2, 4, 8, 16 and 32 pixels."""
NECK = 48
STRIDES = (8, 16, 32)
RARE = -4.0
"""Where scores start: a cell of a hundred has a shape."""


class Detector(nn.Module):
    """Boxes and scores of the cells of three grids, for pictures (rows, 3, 96, 96)."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = _convolution(3, widths[0], stride=2)
        self.stages = nn.ModuleList(Stage(*ends) for ends in pairwise(widths))
        self.lateral = nn.ModuleList(_convolution(width, NECK, kernel=1) for width in widths[2:])
        self.heads = nn.ModuleList(Head() for _ in STRIDES)
        self.grow = nn.Upsample(scale_factor=2)
        centres, strides = grid_cells()
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("strides", strides, persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """For each cell ``scores`` (rows, 189, classes), logits, and ``boxes`` (rows, 189, 4) in pixels."""
        x, seen = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        levels = [lateral(level) for lateral, level in zip(self.lateral, seen[-len(STRIDES) :], strict=True)]
        for fine in reversed(range(len(levels) - 1)):
            levels[fine] = levels[fine] + self.grow(levels[fine + 1])
        found = [head(level) for head, level in zip(self.heads, levels, strict=True)]
        scores, sides = (torch.cat([_as_rows(part) for part in parts], 1) for parts in zip(*found, strict=True))
        reach = nn.functional.softplus(sides) * self.strides
        boxes = torch.cat([self.centres - reach[..., :2], self.centres + reach[..., 2:]], 2)
        return {"scores": scores, "boxes": boxes}


class Stage(nn.Module):
    """A convolution of stride 2, and one more with a shortcut around it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = _convolution(inputs, outputs, stride=2)
        self.more = _convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Half as many rows and columns, ``outputs`` channels."""
        x = self.down(x)
        return x + self.more(x)


class Head(nn.Module):
    """What the cells of a grid see: a score for each class, and how far the four sides are, in strides."""

    def __init__(self) -> None:
        super().__init__()
        self.what, self.where = _convolution(NECK, NECK), _convolution(NECK, NECK)
        self.scores, self.sides = nn.Conv2d(NECK, len(CLASSES), 1), nn.Conv2d(NECK, 4, 1)
        nn.init.constant_(self.scores.bias, RARE)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, classes, height, width) and (rows, 4, height, width)."""
        return self.scores(self.what(x)), self.sides(self.where(x))


def grid_cells() -> tuple[Tensor, Tensor]:
    """Centres (cells, 2), x and y in pixels, and strides (cells, 1) of all grids."""
    centres, strides = [], []
    for stride in STRIDES:
        at = (torch.arange(SIDE // stride) + 0.5) * stride
        centres.append(torch.cartesian_prod(at, at).flip(1))
        strides.append(torch.full((len(centres[-1]), 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def detector() -> nn.Module:
    """The network to train and to compress."""
    return Detector(WIDTHS)


def _as_rows(level: Tensor) -> Tensor:
    return level.flatten(2).transpose(1, 2)


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
