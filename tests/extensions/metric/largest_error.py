"""Metrics of a package of its own: the largest error of a probability, and the share of right answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class LargestError:
    """The largest difference between a score and 1 for the right class, 0 for others."""

    unit, higher_is_better, of_classes = "", False, True

    def __init__(self) -> None:
        self.largest = 0.0

    def update(self, scores: Array, labels: NDArray[np.int64]) -> None:
        """Add scores of shape (rows, classes) and labels (rows,)."""
        wanted = np.eye(scores.shape[1])[labels]
        self.largest = max(self.largest, float(abs(scores - wanted).max()))

    def compute(self) -> float:
        """The largest of all batches."""
        return self.largest

    def reset(self) -> None:
        """Forget all batches."""
        self.largest = 0.0


def share_of_hits(scores: Array, labels: NDArray[np.int64]) -> float:
    """The share of a batch, 0 to 1."""
    return float((scores.argmax(1) == labels).mean())
