"""The ratio of two latencies: an interval that holds up on a busy machine, and the verdict that it allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecompress.metrics.bootstrap import Interval, bounds, draws
from edgecompress.timing.interleaving import STRETCHES

Verdict = Literal["faster", "slower", "no difference", "too noisy to say"]

SMALLEST_DIFFERENCE = 0.01
"""What is not worth a verdict: where its memory comes to lie makes a model faster or slower by as much."""
WIDEST = 0.05
"""Resolution of an interval beyond which the machine is too noisy for a verdict on what lies within."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Time of the first divided by that of the second; ``low`` and ``high`` bound it at 95 %."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """``faster`` or ``slower``, said of the second, where the whole interval is more than 1 % away from 1.

        Elsewhere it is ``no difference``, or ``too noisy to say`` where one above 5 % would not have been seen.

        >>> Ratio(value=1.10, low=1.05, high=1.15).verdict, Ratio(value=1.01, low=1.005, high=1.015).verdict
        ('faster', 'no difference')
        """
        if self.low > 1 + SMALLEST_DIFFERENCE:
            return "faster"
        if self.high < 1 / (1 + SMALLEST_DIFFERENCE):
            return "slower"
        return "too noisy to say" if self.is_wide else "no difference"

    @property
    def factor(self) -> str:
        """The ratio where it says something, else why not.

        >>> Ratio(value=2.3, low=2.2, high=2.4).factor, Ratio(value=0.33, low=0.24, high=1.06).factor
        ('2.30x', 'too noisy to say')
        """
        return f"{self.value:.2f}x" if self.verdict in ("faster", "slower") else self.verdict

    @property
    def words(self) -> str:
        """The verdict with its interval, turned round where it is a slowdown.

        >>> Ratio(value=2.3, low=2.2, high=2.4).words, Ratio(value=0.5, low=0.4, high=0.625).words
        ('2.30x faster (2.20-2.40)', '2.00x slower (1.60-2.50)')
        >>> Ratio(value=1.001, low=0.99, high=1.01).words
        'no difference (0.99-1.01)'
        """
        if self.verdict == "slower":
            return f"{1 / self.value:.2f}x slower ({1 / self.high:.2f}-{1 / self.low:.2f})"
        said = f"{self.value:.2f}x faster" if self.verdict == "faster" else self.verdict
        return f"{said} ({self.low:.2f}-{self.high:.2f})"

    @property
    def resolution(self) -> float:
        """Half of the interval's width, as a share: a difference smaller than that could not be told.

        >>> round(Ratio(value=1.0, low=1 / 1.1, high=1.1).resolution, 3)
        0.1
        """
        return _resolution((self.low, self.high))

    @property
    def is_wide(self) -> bool:
        """Whether the interval is so wide that the value in its middle says little.

        >>> Ratio(value=3.67, low=2.17, high=5.57).is_wide, Ratio(value=3.67, low=3.6, high=3.74).is_wide
        (True, False)
        """
        return self.resolution > WIDEST


SAME_TIME = Ratio(value=1.0, low=1.0, high=1.0)
"""Of a file and itself, which no clock has to say."""


def undecided(limit: float, interval: Interval) -> bool:
    """Whether a limit lies within an interval that is too wide to say on which side of it the measure is.

    >>> undecided(1.2, (0.9, 4.1)), undecided(1.2, (1.3, 4.1)), undecided(1.2, (1.19, 1.22))
    (True, False, False)
    """
    low, high = interval
    return low < limit < high and _resolution(interval) > WIDEST


def _resolution(interval: Interval) -> float:
    low, high = interval
    return math.sqrt(high / low) - 1


def ratio_of(
    first: NDArray[np.float64], second: NDArray[np.float64], stretches: int = STRETCHES, seed: int = 0
) -> Ratio:
    """The median of the ratios of each round, first to second, and its 95 % interval.

    Of two calls every other round goes backwards, and whoever runs right after itself finds its memory in the cache. So
    the medians of the rounds of either direction are taken apart, and their geometric mean is the ratio: that cancels.

    The two of a round share what the machine does to both. Rounds that follow one another are alike, and so are all
    that one pair of sessions ran; so the bootstrap draws whole stretches of rounds (Carlstein 1986, "The use of
    subseries values"), few as they are (:mod:`edgecompress.metrics.bootstrap`).

    Args:
        first: times of the rounds in their order, (runs,), at least 4, in the orders of ``in_turn``.
        second: times of the same rounds.
        stretches: equal parts into which the rounds fall.
        seed: of the bootstrap.
    """
    count = min(stretches, len(first) // 2)
    # Rounds beyond whole stretches of whole pairs, the earliest, are left out.
    logs = np.log(first / second)[len(first) % (2 * count) :]
    directions = logs[::2], logs[1::2]
    drawn = draws(count, seed)
    low, high = np.exp(bounds(np.mean([_quantiles(direction, drawn, 0.5) for direction in directions], axis=0), count))
    value = np.exp(np.mean([np.median(direction) for direction in directions]))
    return Ratio(value=float(value), low=float(low), high=float(high))


def interval_of(times: NDArray[np.float64], share: float, stretches: int = STRETCHES, seed: int = 0) -> Interval:
    """The 95 % interval of the time that ``share`` of the runs stay under, by the same bootstrap as :func:`ratio_of`.

    Args:
        times: of the runs in their order, (runs,), at least 4.
        share: 0 to 1; 0.5 is the median.
        stretches: equal parts into which the runs fall.
        seed: of the bootstrap.
    """
    count = min(stretches, len(times) // 2)
    return bounds(_quantiles(times[len(times) % count :], draws(count, seed), share), count)


def _quantiles(values: NDArray[np.float64], drawn: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """What ``share`` of the values stay under, for each row of draws: how often each equal part of them counts."""
    order = np.argsort(values)
    below = np.cumsum(drawn[:, order // (len(values) // drawn.shape[1])], axis=1)
    rank = share * len(values)
    lower, upper = np.argmax(below >= rank, axis=1), np.argmax(below > rank, axis=1)
    middle: NDArray[np.float64] = (values[order][lower] + values[order][upper]) / 2
    return middle
