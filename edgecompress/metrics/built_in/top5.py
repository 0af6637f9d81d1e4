"""Top-5 accuracy: how often the label is among the five classes with the highest scores, in percent."""

from __future__ import annotations

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.hits import HitRate

BEST = 5


class TopFive(HitRate):
    """Over the labels that count.

    Of equal scores the first classes count as the higher ones, as for ``argmax``: a network that always answers the
    same is right by mere chance.
    """

    def __init__(self) -> None:
        super().__init__(_is_among_the_best)


def _is_among_the_best(scores: Array, labels: Array) -> Array:
    """Whether fewer than five classes stand before the label's."""
    own_class = np.maximum(labels, 0)[:, None]  # what does not count is below zero
    own = np.take_along_axis(scores, own_class, 1)
    classes = np.arange(scores.shape[1]).reshape(-1, *(1,) * (scores.ndim - 2))
    earlier = classes < own_class
    ranks = (~(scores <= own) | ((scores == own) & earlier)).sum(1)  # what is no number stands before all
    found: Array = ranks < BEST
    return found


make = TopFive
