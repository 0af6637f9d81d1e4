"""What the tests of the techniques give them: batches of small images, and a context."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgecompress.data.batches import Batches, InputNames
from edgecompress.data.splits import Streams
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.techniques.context import Context
from tests.networks import CLASSES, images

NAMES = InputNames(names=("image",), required=1)


def batches(role: str, count: int = 3) -> Batches:
    """So many batches of eight images, with random labels except for calibration."""
    drawn = torch.Generator().manual_seed(0)
    shown = [image for image, _ in images(rows=8, batches=count)]
    data = [(image, torch.randint(0, CLASSES, (len(image),), generator=drawn)) for image in shown]
    return Batches(role=role, source=lambda: data, inputs=NAMES, use_labels=role != "calibration")


def context(teacher: nn.Module, recipe: Recipe, *roles: str, checkpoints: Path | None = None) -> Context:
    """A context with data for these roles."""
    return Context(
        original=teacher,
        teacher=teacher,
        recipe=recipe,
        example=batches("calibration").first(),
        streams=Streams(**{role: batches(role) for role in roles}),
        checkpoints=checkpoints,
        progress=Progress(),
    )


class Blocks(nn.Module):
    """Four residual blocks that could each go."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
        self.body = nn.Sequential(*(Block() for _ in range(4)))
        self.head = nn.Linear(16, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(self.stem(image)).mean((2, 3)))
        return scores


class Block(nn.Module):
    """Adds two convolutions to what goes in."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(16, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))
