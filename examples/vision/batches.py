"""The digits of scikit-learn, each at a random place of a noisy image of 32 x 32 pixels."""

from __future__ import annotations

import functools

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

SIDE = 32
ZOOM = 3
ROWS = 32
NOISE = 0.25
TRAINING = 1200
CALIBRATION = 256
VALIDATION = 597

Batches = list[tuple[Tensor, Tensor]]


def training() -> Batches:
    """1,200 digits, each drawn at three places."""
    return [batch for draw in range(3) for batch in _drawn(0, TRAINING, draw)]


def calibration() -> Batches:
    """256 of these digits."""
    return _drawn(0, CALIBRATION, 0)


def validation() -> Batches:
    """The 597 other digits."""
    return _drawn(TRAINING, TRAINING + VALIDATION, 0)


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 24, 24) in [0, 1] and their labels, in one random order."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = pixels.reshape(-1, 8, 8)[order] / 16
    return images.repeat(ZOOM, 1).repeat(ZOOM, 2), labels[order]


def _drawn(start: int, end: int, draw: int) -> Batches:
    """Batches ``(images, labels)``: float32 (rows, 1, 32, 32), int64 (rows,)."""
    digits, labels = (part[start:end] for part in _digits())
    random = np.random.default_rng([start, draw])
    images = random.normal(0, NOISE, (len(digits), 1, SIDE, SIDE))
    extent = digits.shape[1]
    for image, digit in zip(images[:, 0], digits, strict=True):
        top, left = random.integers(0, SIDE - extent + 1, 2)
        image[top : top + extent, left : left + extent] += digit
    x, y = torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))
    return list(zip(x.split(ROWS), y.split(ROWS), strict=True))
