"""The bootstrap: between which values a figure lies, by drawing what it was computed from again and again.

Efron and Tibshirani 1993, "An Introduction to the Bootstrap". Where what is drawn is few, the percentiles of the draws
are too narrow: they are widened to what Student's t asks for (Hesterberg 2015, "What teachers should know about the
bootstrap").
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Interval = tuple[float, float]

RESAMPLES = 2000
CONFIDENCE = 0.95


def draws(count: int, seed: int = 0) -> NDArray[np.int64]:
    """Number of times that each of ``count`` parts is drawn in each resample, (RESAMPLES, count)."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def bounds(resampled: NDArray[np.float64], count: int) -> Interval:
    """The ends of the 95 % interval, as wide as ``count`` independent parts ask for.

    Args:
        resampled: the figure in each resample, (resamples,).
        count: of a single part nothing is known of the spread, and the ends are those of all resamples.

    >>> bounds(np.arange(101.0), 1)
    (0.0, 100.0)
    """
    wide = math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 + CONFIDENCE) / 2) if count > 1 else math.inf
    tail = ndtr(-wide)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return float(low), float(high)
