"""Top-1 accuracy: how often the class with the highest score is the label, in percent."""

from __future__ import annotations

from edgecompress.arrays import Array
from edgecompress.metrics.accuracy import Tally, top1


class TopOne:
    """Over the labels that count; of equal scores the first class is taken, as by ``argmax``."""

    unit, higher_is_better, of_classes = "%", True, True

    def __init__(self) -> None:
        self._tally = Tally()

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        self._tally = self._tally.merge(top1(scores, labels, axis=1))

    def compute(self) -> float:
        """Percent; NaN of no label."""
        percent = self._tally.percent
        return float("nan") if percent is None else percent

    def reset(self) -> None:
        """Forget all batches."""
        self._tally = Tally()


make = TopOne
