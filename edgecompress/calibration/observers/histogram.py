"""The range that PyTorch's default observer finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.calibration.histogram import Histogram
from edgecompress.calibration.observer import Demand, Statistics

DESTINATION_BINS = 256
QUANTILE_STEP = 1e-5


def find_range(statistics: Statistics, _demand: Demand) -> tuple[float, float]:
    """The range of PyTorch's default activation observer, which counts on 256 levels under both schemes."""
    return histogram_l2_range(statistics.histogram)


def histogram_l2_range(histogram: Histogram) -> tuple[float, float]:
    """The range that a greedy search finds to cost the least squared error.

    The ends move inward, a quantile step at a time, always the one that passes more empty bins, until
    the expected error of storing the histogram in 256 levels grows. It is the search of
    ``HistogramObserver`` (``NonlinearQuantizationParamsSearch`` in Caffe2's norm minimization), the
    default activation observer of both FBGEMM and QNNPACK.

    Returns:
        ``(low, high)`` in the unit of the tensor.
    """
    if histogram.bin_width == 0:
        return histogram.low, histogram.high
    cumulative = np.cumsum(histogram.counts)
    total = float(cumulative[-1])
    first, last = 0, len(cumulative) - 1
    skipped_low, kept_high, least_error = 0.0, 1.0, np.inf
    while skipped_low < kept_high:
        next_low, next_high = skipped_low + QUANTILE_STEP, kept_high - QUANTILE_STEP
        left = int(np.clip(np.searchsorted(cumulative, next_low * total, side="left"), first, last))
        right = int(np.clip(np.searchsorted(cumulative, next_high * total, side="right") - 1, first, last))
        if left - first > last - right:
            skipped_low, candidate = next_low, (left, last)
        else:
            kept_high, candidate = next_high, (first, right)
        if candidate == (first, last):
            continue
        error = quantization_error(histogram, *candidate)
        if error > least_error:
            break
        least_error = error
        first, last = candidate
    return histogram.low + histogram.bin_width * first, histogram.low + histogram.bin_width * (last + 1)


def quantization_error(histogram: Histogram, first: int, last: int) -> float:
    """Expected squared error when the bins ``first`` to ``last`` are stored in 256 levels.

    The density is uniform within a bin. A bin outside the range is stored as the nearest level; one
    inside can straddle several levels; the first and the last are covered in part.
    """
    width = histogram.bin_width
    level_width = width * (last - first + 1) / DESTINATION_BINS
    begin = (np.arange(len(histogram.counts), dtype=np.float64) - first) * width
    end = begin + width
    level_of_begin, level_of_end = _level(begin, level_width), _level(end, level_width)
    half = level_width / 2
    moment = (
        _second_moment(begin - (level_of_begin + 0.5) * level_width, half)
        + (level_of_end - level_of_begin - 1) * _second_moment(-half, half)
        + _second_moment(-half, end - (level_of_end + 0.5) * level_width)
    )
    return float(np.sum(histogram.counts / width * moment))


def _level(position: NDArray[np.floating[Any]], level_width: float) -> NDArray[np.floating[Any]]:
    level: NDArray[np.floating[Any]] = np.clip(np.floor(position / level_width), 0, DESTINATION_BINS - 1)
    return level


def _second_moment(
    begin: NDArray[np.floating[Any]] | float, end: NDArray[np.floating[Any]] | float
) -> NDArray[np.floating[Any]]:
    """Integral of x^2 from ``begin`` to ``end``."""
    return np.asarray((np.power(end, 3) - np.power(begin, 3)) / 3)
