"""What the tests of the techniques give them: batches of small images, and a course."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgecompress.data import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.recipe import Recipe
from edgecompress.streams import Streams
from edgecompress.techniques.course import Course
from tests.networks import CLASSES, images

NAMES = InputNames(names=("image",), required=1)


def batches(role: str, count: int = 3) -> Batches:
    """So many batches of eight images, with random labels but for calibration."""
    drawn = torch.Generator().manual_seed(0)
    shown = [image for image, _ in images(rows=8, batches=count)]
    data = [(image, torch.randint(0, CLASSES, (len(image),), generator=drawn)) for image in shown]
    return Batches(role=role, source=lambda: data, inputs=NAMES, use_labels=role != "calibration")


def course(teacher: nn.Module, recipe: Recipe, *roles: str, checkpoints: Path | None = None) -> Course:
    """A course with data for these roles."""
    return Course(
        teacher=teacher,
        recipe=recipe,
        example=batches("calibration").first(),
        streams=Streams(**{role: batches(role) for role in roles}),
        checkpoints=checkpoints,
        progress=Progress(),
    )
