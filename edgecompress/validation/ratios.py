"""The ratio of two latencies: an interval that holds up on a busy machine, and the verdict that it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Verdict = Literal["faster", "slower", "no difference"]

STRETCHES = 10
"""Parts of a run that are resampled whole."""
RESAMPLES = 2000
CONFIDENCE = 0.95
SMALLEST_DIFFERENCE = 0.01
"""What is not worth a verdict: where its memory comes to lie makes a model faster or slower by as much."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as long the first takes as the second; ``low`` and ``high`` bound it at 95 %."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """``faster`` or ``slower``, said of the second, where the whole interval is more than 1 % away from 1.

        >>> Ratio(value=1.10, low=1.05, high=1.15).verdict, Ratio(value=1.01, low=1.005, high=1.015).verdict
        ('faster', 'no difference')
        """
        if self.low > 1 + SMALLEST_DIFFERENCE:
            return "faster"
        return "slower" if self.high < 1 / (1 + SMALLEST_DIFFERENCE) else "no difference"

    @property
    def resolution(self) -> float:
        """Half of the interval's width, as a share: a difference smaller than that could not be told.

        >>> round(Ratio(value=1.0, low=1 / 1.1, high=1.1).resolution, 3)
        0.1
        """
        return math.sqrt(self.high / self.low) - 1


def ratio_of(
    first: NDArray[np.float64], second: NDArray[np.float64], stretches: int = STRETCHES, seed: int = 0
) -> Ratio:
    """The median of the ratios of each round, first to second, and its 95 % interval.

    Every other round goes backwards, and whoever runs right after itself finds its memory in the cache. So the medians
    of the rounds of either direction are taken apart, and their geometric mean is the ratio: that cancels.

    The two of a round share what the machine does to both. Rounds that follow one another are alike, and so are all
    that one pair of sessions ran; so the bootstrap draws whole stretches of rounds (Carlstein 1986, "The use of
    subseries values"). They are few, which makes its percentiles too narrow: these are widened to what Student's t
    asks for (Hesterberg 2015, "What teachers should know about the bootstrap").

    Args:
        first: times of the rounds in their order, (runs,), at least 4; forwards, backwards, forwards, ...
        second: times of the same rounds.
        stretches: equal parts into which the rounds fall.
        seed: of the bootstrap.
    """
    count = min(stretches, len(first) // 2)
    # Rounds beyond whole stretches of whole pairs, the earliest, are left out.
    logs = np.log(first / second)[len(first) % (2 * count) :]
    directions = logs[::2], logs[1::2]
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    tail = ndtr(-math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    medians = np.mean([_medians(one, draws) for one in directions], axis=0)
    low, high = np.exp(np.quantile(medians, [tail, 1 - tail]))
    value = np.exp(np.mean([np.median(one) for one in directions]))
    return Ratio(value=float(value), low=float(low), high=float(high))


def _medians(values: NDArray[np.float64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of the values for each row of draws, which says how often each equal part of them counts."""
    order = np.argsort(values)
    below = np.cumsum(draws[:, order // (len(values) // draws.shape[1])], axis=1)
    lower, upper = np.argmax(2 * below >= len(values), axis=1), np.argmax(2 * below > len(values), axis=1)
    middle: NDArray[np.float64] = (values[order][lower] + values[order][upper]) / 2
    return middle
