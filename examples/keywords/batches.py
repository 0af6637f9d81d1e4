"""Recordings in batches of ``(features, labels)``, each role with recordings of its own."""

from __future__ import annotations

import functools

import numpy as np
import torch
from features import features
from sounds import recording
from torch import Tensor

ROWS = 32
TRAINING = 4096
CALIBRATION = 256
VALIDATION = 3072

Batches = list[tuple[Tensor, Tensor]]


@functools.cache
def training() -> Batches:
    """4,096 recordings."""
    return _drawn(TRAINING, role=0)


@functools.cache
def calibration() -> Batches:
    """256 other ones."""
    return _drawn(CALIBRATION, role=1)


@functools.cache
def validation() -> Batches:
    """3,072 other ones."""
    return _drawn(VALIDATION, role=2)


def _drawn(count: int, role: int) -> Batches:
    """Batches ``(features, labels)``: float32 (rows, 40, 97), int64 (rows,)."""
    sounds, labels = zip(*(recording(np.random.default_rng([role, number])) for number in range(count)), strict=True)
    x, y = torch.from_numpy(np.stack([features(sound) for sound in sounds])), torch.tensor(labels)
    return list(zip(x.split(ROWS), y.split(ROWS), strict=True))
