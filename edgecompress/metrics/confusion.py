"""How often each class was right, answered and there: what metrics of classes are computed from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.metrics.sums import OfSums, Sums, share_of


class MeanOverClasses(OfSums):
    """The mean of a share of each class, in percent; classes that neither are labels nor are answered do not count.

    Args:
        share: from how often each class was right, answered, and a label, to its share, 0 to 1, in two parts: the
            numerator and the denominator, which is not zero for a class that counts.
    """

    unit, higher_is_better, of_classes = "%", True, True

    def __init__(self, share: Callable[[Sums, Sums, Sums], tuple[Sums, Sums]]) -> None:
        super().__init__()
        self._share = share

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        classes, answers = scores.shape[1], scores.argmax(1)
        kinds = (labels == answers, labels), (True, answers), (True, labels)
        counted = labels != IGNORED_LABEL
        self._add(*(_counts(of, counted & which, classes) for which, of in kinds))

    def per_class(self) -> dict[int, float]:
        """The share of each class that counts, in percent."""
        totals = self._sums.totals
        shares = self._shares(totals[None])[0] if totals.size else totals
        return {int(label): float(shares[label]) for label in np.flatnonzero(~np.isnan(shares))}

    def _values(self, sums: Sums) -> Sums:
        shares = self._shares(sums)
        return share_of(np.nansum(shares, 1), (~np.isnan(shares)).sum(1))

    def _shares(self, sums: Sums) -> Sums:
        """The share of each class in percent, (resamples, classes), NaN of one that does not count."""
        right, answered, labels = np.split(sums, 3, axis=1)
        part, whole = self._share(right, answered, labels)
        return share_of(100 * part, whole)


def _counts(classes: Array, counted: Array, of: int) -> Array:
    """How often each of so many classes stands in each row, (rows, classes), where it counts."""
    rows = np.broadcast_to(np.arange(len(classes)).reshape(-1, *(1,) * (classes.ndim - 1)), classes.shape)
    places = rows[counted] * of + classes[counted].astype(np.int64)
    return np.bincount(places, minlength=len(classes) * of).reshape(len(classes), of)


def harmonic_mean(right: Sums, answered: Sums, labels: Sums) -> tuple[Sums, Sums]:
    """F1, which is Dice: the harmonic mean of precision and recall."""
    return 2 * right, answered + labels
