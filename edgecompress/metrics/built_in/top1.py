"""Top-1 accuracy: how often the class with the highest score is the label, in percent."""

from __future__ import annotations

from edgecompress.arrays import Array
from edgecompress.metrics.hits import HitRate


class TopOne(HitRate):
    """Over the labels that count; of equal scores the first class is taken, as by ``argmax``."""

    def __init__(self) -> None:
        super().__init__(_is_first)


def _is_first(scores: Array, labels: Array) -> Array:
    found: Array = scores.argmax(1) == labels
    return found


make = TopOne
