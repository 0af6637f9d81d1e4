"""Top-5 accuracy: how often the label is among the five classes with the highest scores, in percent."""

from __future__ import annotations

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.accuracy import IGNORED_LABEL

BEST = 5


class TopFive:
    """Over the labels that count.

    Of equal scores the first classes count as the higher ones, as for ``argmax``: a network that always answers the
    same is right by chance alone.
    """

    unit, higher_is_better, of_classes = "%", True, True

    def __init__(self) -> None:
        self.reset()

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        counted = labels != IGNORED_LABEL
        ranks = _ranks(np.moveaxis(scores, 1, -1)[counted], labels[counted])
        self._right += int((ranks < BEST).sum())
        self._total += ranks.size

    def compute(self) -> float:
        """Percent; NaN of no label."""
        return 100 * self._right / self._total if self._total else float("nan")

    def reset(self) -> None:
        """Forget all batches."""
        self._right = self._total = 0


def _ranks(scores: Array, labels: Array) -> Array:
    """How many classes stand before the label's, for scores (samples, classes) and labels (samples,)."""
    own = np.take_along_axis(scores, labels[:, None], 1)
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    ranks: Array = (~(scores <= own) | ((scores == own) & earlier)).sum(1)  # what is no number stands before all
    return ranks


make = TopFive
