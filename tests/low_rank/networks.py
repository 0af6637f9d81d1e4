"""Networks with layers that can be decomposed, and layers that cannot."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Wide(nn.Module):
    """Three linear layers; the last classifies; 64 inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(64, 96)
        self.second = nn.Linear(96, 96)
        self.head = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))))  # type: ignore[no-any-return]


class ReadsWeights(nn.Module):
    """One layer that is called, one whose weight is read, one that is called and read, one whose type is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.unused, self.read, self.asked = (nn.Linear(8, 8) for _ in range(4))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.linear(self.called(x), self.unused.weight)
        x = self.read(x) * self.read.weight.mean()
        x = self.asked(x) if isinstance(self.asked, nn.Linear) else x
        return self.head(x)  # type: ignore[no-any-return]


class Convolutions(nn.Module):
    """Convolutions of every sort, with batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.mix = nn.Sequential(nn.Conv2d(32, 32, 1), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(32, 32, 5, padding="same", padding_mode="reflect"), nn.ReLU())
        self.classifier = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        features = self.mix(self.depthwise(self.down(self.stem(image))))
        return self.classifier((features + self.wide(features)).mean((2, 3)))  # type: ignore[no-any-return]
