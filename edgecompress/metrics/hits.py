"""How often an answer is right: of all samples, and of those of each class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.metrics.sums import OfSums, Sums, share_of


class HitRate(OfSums):
    """The share of right answers among the labels that count, in percent.

    Args:
        hits: from scores (rows, classes, ...) and class indices (rows, ...) to which of them are right, in the shape of
            the labels; what it says of a label of -100 does not count.
    """

    unit, higher_is_better, of_classes = "%", True, True

    def __init__(self, hits: Callable[[Array, Array], Array]) -> None:
        super().__init__()
        self._hits = hits
        self._right: NDArray[np.int64] = np.zeros(1, np.int64)
        self._total: NDArray[np.int64] = np.zeros(1, np.int64)

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        counted, classes = labels != IGNORED_LABEL, scores.shape[1]
        hits = self._hits(scores, labels) & counted
        self._add(*(found.reshape(len(labels), -1).sum(1) for found in (hits, counted)))
        self._right = self._right + np.bincount(labels[hits], minlength=classes)
        self._total = self._total + np.bincount(labels[counted], minlength=classes)

    def per_class(self) -> dict[int, float]:
        """Recall of each class that is a label, in percent."""
        return {
            int(label): 100 * int(self._right[label]) / int(self._total[label]) for label in self._total.nonzero()[0]
        }

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._right = self._total = np.zeros(1, np.int64)

    def _values(self, sums: Sums) -> Sums:
        return share_of(100 * sums[:, 0], sums[:, 1])
