"""The range between two percentiles."""

from __future__ import annotations

import numpy as np

from edgecompress.calibration.observer import Demand, Statistics


def find_range(statistics: Statistics, demand: Demand) -> tuple[float, float]:
    """The range that leaves out ``100 - percentile`` percent of the values at each end, interpolated within bins."""
    histogram = statistics.histogram
    if histogram.bin_width == 0:
        return histogram.low, histogram.high
    cumulative = np.concatenate([[0], np.cumsum(histogram.counts)])
    ranks = np.array([1 - demand.percentile / 100, demand.percentile / 100]) * cumulative[-1]
    # Empty bins repeat a sum: the low end starts after them, the high end stops before.
    low = int(np.searchsorted(cumulative, ranks[0], side="right")) - 1
    high = int(np.searchsorted(cumulative, ranks[1], side="left")) - 1
    positions = [
        index + (rank - cumulative[index]) / histogram.counts[index]
        for index, rank in zip((low, high), ranks.tolist(), strict=True)
    ]
    return histogram.low + histogram.bin_width * positions[0], histogram.low + histogram.bin_width * positions[1]
