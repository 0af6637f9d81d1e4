"""The mean range of a sample."""

from __future__ import annotations

from edgecompress.calibration.observer import Demand, Statistics


def find_range(statistics: Statistics, _demand: Demand) -> tuple[float, float]:
    """The mean over samples of each sample's least and greatest value.

    ``MovingAverageMinMaxObserver`` weighs later batches more, and so depends on their order and size; every sample
    has the same weight here.
    """
    return statistics.ends.mean_low, statistics.ends.mean_high
