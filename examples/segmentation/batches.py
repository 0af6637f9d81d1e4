"""Scenes in batches of ``(pictures, masks)``, each role with scenes of its own."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scenes import scene
from torch import Tensor

ROWS = 8
TRAINING = 1536
CALIBRATION = 128
VALIDATION = 512

Batches = list[tuple[Tensor, Tensor]]


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
    """Batches ``(pictures, masks)``: float32 (rows, 3, 48, 48), int64 (rows, 48, 48)."""
    pictures, masks = zip(*(scene(np.random.default_rng([role, number])) for number in range(count)), strict=True)
    x, y = torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(masks))
    return list(zip(x.split(ROWS), y.split(ROWS), strict=True))
