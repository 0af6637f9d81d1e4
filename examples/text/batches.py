"""Reviews in batches of dicts, each role with reviews of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from nets import LENGTH, tokens
from reviews import review

ROWS = 32
CALIBRATION = 256
VALIDATION = 2048

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


def calibration() -> Iterator[Batch]:
    """256 reviews."""
    return _batches(CALIBRATION, seed=1)


def validation() -> Iterator[Batch]:
    """2,048 other ones."""
    return _batches(VALIDATION, seed=2)


def _batches(count: int, seed: int) -> Iterator[Batch]:
    draw = random.Random(seed)
    for _ in range(count // ROWS):
        words, labels = zip(*(review(draw) for _ in range(ROWS)), strict=True)
        yield tokens(list(words), LENGTH), torch.tensor(labels)
