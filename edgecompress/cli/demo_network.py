"""The demo: a small network trained on scikit-learn's digits, to be compressed like any user's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgecompress.errors import InputError
from edgecompress.progress import Progress

EPOCHS = 6
BATCH_ROWS = 32
SIDE = 32


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A trained network and its data: ``(images, labels)`` batches, float32 (rows, 1, 32, 32)."""

    model: nn.Module
    calibration: list[tuple[Tensor, Tensor]]
    evaluation: list[tuple[Tensor, Tensor]]


class ConvBlock(nn.Module):
    """Two convolutions with batch norm, and a shortcut around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same shape."""
        inner = torch.relu(self.norm1(self.conv1(features)))
        return torch.relu(features + self.norm2(self.conv2(inner)))


class DigitsNet(nn.Sequential):
    """A residual network for digits; scores for ten classes."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
            conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU(), ConvBlock(outputs)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def make_demo(progress: Progress, epochs: int = EPOCHS) -> Demo:
    """Train the network, seeded, on two thirds of the digits; the rest is for evaluation.

    Raises:
        InputError: scikit-learn is not installed.
    """
    images, labels = load_digits()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    train, test = order[:1200], order[1200:]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DigitsNet()
        _train(model, images[train], labels[train], epochs, progress)
    return Demo(
        model=model.eval(),
        calibration=_split(images[train[:256]], labels[train[:256]]),
        evaluation=_split(images[test], labels[test]),
    )


def load_digits() -> tuple[Tensor, Tensor]:
    """1,797 images, float32 (1797, 1, 32, 32) in [0, 1], and their labels."""
    try:
        from sklearn import datasets
    except ImportError:
        raise InputError("the demo needs scikit-learn; pip install 'edgecompress[demo]'") from None
    pixels, labels = datasets.load_digits(return_X_y=True)
    small = torch.from_numpy(pixels.reshape(-1, 1, 8, 8).astype(np.float32) / 16)
    large = nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return large, torch.from_numpy(labels.astype(np.int64))


def _train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, progress: Progress) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = [rows for _ in range(epochs) for rows in torch.split(torch.randperm(len(labels)), BATCH_ROWS)]
    model.train()
    for rows in progress.track(steps, "training the network of the demo", "step"):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _split(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.split(images, BATCH_ROWS), torch.split(labels, BATCH_ROWS), strict=True))
