"""Settling: timed runs go on until the ratios are known well enough, or the patience is at its end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgecompress.timing.interleaving import STRETCHES
from edgecompress.timing.ratios import Ratio, ratio_of

FINE = 0.02
"""Resolution that is enough: a convolution more or less in a small network shows."""
PATIENCE = 10
"""Most times that the runs are repeated."""


def settle(measure: Callable[[], NDArray[np.float64]]) -> tuple[NDArray[np.float64], tuple[Ratio, ...]]:
    """Runs, as many as this machine needs today, and the ratio of the first column to each.

    What is waited for is the width of the intervals, whatever they hold: to wait for a verdict would find one.

    Args:
        measure: takes some runs: milliseconds, (runs, files), in ``STRETCHES`` stretches.
    """
    times = measure()
    for passes in range(1, PATIENCE + 1):
        ratios = tuple(ratio_of(times[:, 0], column, passes * STRETCHES) for column in times.T)
        if passes == PATIENCE or all(ratio.resolution <= FINE for ratio in ratios):
            break
        times = np.concatenate([times, measure()])
    return times, ratios
