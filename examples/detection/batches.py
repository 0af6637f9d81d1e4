"""Scenes in batches of ``(pictures, targets)``, each role with scenes of its own; a target is a dict of boxes."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scenes import scene
from torch import Tensor

ROWS = 16
TRAINING = 1536
CALIBRATION = 128
VALIDATION = 512

Target = dict[str, Tensor]
"""``boxes`` (boxes, 4), left, top, right, bottom in pixels, and ``labels`` (boxes,)."""
Batches = list[tuple[Tensor, list[Target]]]


@functools.cache
def training() -> Batches:
    """1,536 scenes."""
    return _drawn(TRAINING, role=0)


@functools.cache
def calibration() -> Batches:
    """128 other ones."""
    return _drawn(CALIBRATION, role=1)


@functools.cache
def validation() -> Batches:
    """512 other ones."""
    return _drawn(VALIDATION, role=2)


def _drawn(count: int, role: int) -> Batches:
    """Batches of float32 (rows, 3, 96, 96) with a target for each row."""
    scenes = [scene(np.random.default_rng([role, number])) for number in range(count)]
    pictures = torch.from_numpy(np.stack([picture for picture, _, _ in scenes]))
    targets = [{"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels)} for _, boxes, labels in scenes]
    return [(pictures[row : row + ROWS], targets[row : row + ROWS]) for row in range(0, count, ROWS)]
