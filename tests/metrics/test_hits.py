"""How often an answer is right, by a rule of one's own."""

from __future__ import annotations

import math

import numpy as np

from edgecompress.arrays import Array
from edgecompress.metrics.hits import HitRate


def _even(scores: Array, labels: Array) -> Array:
    even: Array = (labels % 2 == 0) & (scores[:, 0] >= 0)
    return even


def test_what_does_not_count_is_no_hit_whatever_the_rule_says() -> None:
    rate = HitRate(_even)
    assert math.isnan(rate.compute())
    assert rate.per_class() == {}
    rate.update(np.ones((5, 4)), np.array([0, 1, 2, 2, -100]))
    rate.update(-np.ones((1, 4)), np.array([2]))
    assert rate.compute() == 100 * 3 / 5
    assert rate.per_class() == {0: 100.0, 1: 0.0, 2: 100 * 2 / 3}
    rate.reset()
    assert math.isnan(rate.compute())
