"""How often each class was answered for each: what metrics of classes are computed from, whatever the batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.metrics.accuracy import IGNORED_LABEL

Counts = NDArray[np.int64]


class MeanOverClasses:
    """The mean of a share of each class, in percent; classes that neither are labels nor are answered do not count.

    Args:
        share: from how often each class was right, answered, and a label, to its share, 0 to 1.
    """

    unit, higher_is_better, of_classes = "%", True, True

    def __init__(self, share: Callable[[Counts, Counts, Counts], Array]) -> None:
        self._share = share
        self._pairs: Counts = np.zeros((1, 1), np.int64)

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        counted, classes = labels != IGNORED_LABEL, scores.shape[1]
        pairs = labels[counted].astype(np.int64) * classes + scores.argmax(1)[counted]
        self._pairs = self._pairs + np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def compute(self) -> float:
        """The mean over the classes; NaN where nothing counted."""
        shares = self.per_class().values()
        return float(np.mean(list(shares))) if shares else float("nan")

    def per_class(self) -> dict[int, float]:
        """The share of each class that counts, in percent."""
        right, answered, labels = self._pairs.diagonal(), self._pairs.sum(0), self._pairs.sum(1)
        seen = np.flatnonzero(answered + labels)
        shares = 100 * self._share(right[seen], answered[seen], labels[seen])
        return dict(zip(seen.tolist(), shares.tolist(), strict=True))

    def reset(self) -> None:
        """Forget all batches."""
        self._pairs = np.zeros((1, 1), np.int64)


def harmonic_mean(right: Counts, answered: Counts, labels: Counts) -> Array:
    """F1, which is Dice: the harmonic mean of precision and recall."""
    share: Array = 2 * right / (answered + labels)
    return share
