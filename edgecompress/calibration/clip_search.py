"""Search for the clip range that costs least, over the bins of a histogram.

A candidate range goes from the left edge of bin ``first`` to the right edge of bin ``last``. Its cost is that of the
levels that the scheme really stores: the range is widened to hold zero, and the levels are whole multiples of the
scale, so that zero is one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.calibration.histogram import Histogram
from edgecompress.calibration.schemes import LEAST_ACTIVATION_SCALE, scale_of

COARSE_CANDIDATES = 64
MAX_ROUNDS = 8

Floats = NDArray[np.float64]
Bins = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """The levels of candidate ranges: ``code * scale`` for whole codes; all three of shape (candidates, 1)."""

    scale: Floats
    first_code: Floats
    last_code: Floats

    @classmethod
    def of(cls, histogram: Histogram, first: Bins, last: Bins, quant_max: int) -> Levels:
        """Levels as :meth:`Scheme.activation_params` chooses them for the ranges of bins."""
        low = np.minimum(histogram.low + histogram.bin_width * first, 0.0)[:, None]
        high = np.maximum(histogram.low + histogram.bin_width * (last + 1), 0.0)[:, None]
        scale = scale_of((high - low) / quant_max, LEAST_ACTIVATION_SCALE)
        zero_point = np.clip(-np.rint(low / scale), 0, quant_max)
        return cls(scale=scale, first_code=-zero_point, last_code=quant_max - zero_point)

    def codes(self, values: Floats) -> Floats:
        """The code of each value, shape (candidates, values); what lies outside is clipped."""
        return np.asarray(np.clip(np.rint(values / self.scale), self.first_code, self.last_code))


Cost = Callable[[Histogram, Bins, Bins, int], Floats]
"""Cost of the ranges from bin ``first`` to bin ``last``, each of shape (candidates,); inf refuses one."""


def cheapest_range(histogram: Histogram, quant_max: int, cost: Cost) -> tuple[float, float]:
    """The range of least cost that a search along each end in turn finds, from the whole histogram inward.

    An end that does not reach beyond zero stays, since the range is widened to zero in any case.

    Returns:
        ``(low, high)`` in the unit of the tensor.
    """
    if histogram.bin_width == 0:
        return histogram.low, histogram.high
    first, last = 0, len(histogram.counts) - 1
    for _ in range(MAX_ROUNDS):
        before = first, last
        last = _best_last(histogram, first, last, quant_max, cost) if histogram.high > 0 else last
        first = _best_first(histogram, first, last, quant_max, cost) if histogram.low < 0 else first
        if (first, last) == before:
            break
    return histogram.low + histogram.bin_width * first, histogram.low + histogram.bin_width * (last + 1)


def _best_last(histogram: Histogram, first: int, last: int, quant_max: int, cost: Cost) -> int:
    least = first if histogram.low >= 0 else max(first, _bin_of_zero(histogram))
    ends = np.arange(len(histogram.counts) - 1, least - 1, -1)
    return _cheapest(ends, last, lambda bins: cost(histogram, np.full_like(bins, first), bins, quant_max))


def _best_first(histogram: Histogram, first: int, last: int, quant_max: int, cost: Cost) -> int:
    greatest = last if histogram.high <= 0 else min(last, _bin_of_zero(histogram))
    ends = np.arange(0, greatest + 1)
    return _cheapest(ends, first, lambda bins: cost(histogram, bins, np.full_like(bins, last), quant_max))


def _cheapest(ends: Bins, current: int, cost: Callable[[Bins], Floats]) -> int:
    """The end of least cost, of equal ones the widest: every few bins, then every bin around the best."""
    stride = -(-len(ends) // COARSE_CANDIDATES)
    coarse = np.union1d(np.arange(0, len(ends), stride), np.flatnonzero(ends == current))
    best = int(coarse[np.argmin(cost(ends[coarse]))])
    fine = np.arange(max(0, best - stride), min(len(ends), best + stride + 1))
    return int(ends[fine[np.argmin(cost(ends[fine]))]])


def _bin_of_zero(histogram: Histogram) -> int:
    return min(int(-histogram.low / histogram.bin_width), len(histogram.counts) - 1)


def squared_error(histogram: Histogram, first: Bins, last: Bins, quant_max: int) -> Floats:
    """Expected sum of squared errors of all counted values, the density being uniform within a bin."""
    return error_of(histogram, Levels.of(histogram, first, last, quant_max))


def error_of(histogram: Histogram, levels: Levels) -> Floats:
    """The same for any levels, of a histogram of more than one value; shape (candidates,)."""
    edges = histogram.low + histogram.bin_width * np.arange(len(histogram.counts) + 1, dtype=np.float64)
    code = levels.codes(edges)
    # The integral of (x - level(x))^2 from the first level to an edge: whole steps, and the part of the last one.
    integral = (code - levels.first_code) * levels.scale**3 / 12 + (edges - code * levels.scale) ** 3 / 3
    return np.asarray(np.diff(integral, axis=1) @ (histogram.counts / histogram.bin_width))


def divergence(histogram: Histogram, first: Bins, last: Bins, quant_max: int) -> Floats:
    """Kullback-Leibler divergence of the stored distribution from the clipped one, in nats.

    As in TensorRT's entropy calibration (Migacz 2017, "8-bit Inference with TensorRT"): the reference holds the
    clipped values in the bins at its ends; the stored distribution has lost them, and spreads what a level holds
    evenly over the occupied bins of that level. Ranges of fewer bins than levels are refused, for every bin would
    have a level to itself; so are those that lose all that an end's level stands for. The whole histogram never is.
    """
    counts, bins = histogram.counts.astype(np.float64), np.arange(len(histogram.counts))
    inside = (bins >= first[:, None]) & (bins <= last[:, None])
    kept = inside * counts
    reference = kept + _clipped(counts, bins, first, last)
    centres = histogram.low + histogram.bin_width * (bins + 0.5)
    stored = _spread_over_levels(kept, reference > 0, Levels.of(histogram, first, last, quant_max), centres, quant_max)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (reference / counts.sum()) / (stored / kept.sum(axis=1, keepdims=True))
        terms = np.where(reference > 0, reference / counts.sum() * np.log(ratio), 0.0)
    whole = (first == 0) & (last == len(bins) - 1)
    return np.where((last - first + 1 >= quant_max + 1) | whole, terms.sum(axis=1), np.inf)


def _clipped(counts: Floats, bins: NDArray[Any], first: Bins, last: Bins) -> Floats:
    """What lies outside the ranges, put into the bins at their ends."""
    cumulative = np.concatenate([[0.0], np.cumsum(counts)])
    below, above = cumulative[first], cumulative[-1] - cumulative[last + 1]
    at_first, at_last = bins == first[:, None], bins == last[:, None]
    return np.asarray(at_first * below[:, None] + at_last * above[:, None])


def _spread_over_levels(
    kept: NDArray[Any], occupied: NDArray[np.bool_], levels: Levels, centres: NDArray[Any], quant_max: int
) -> Floats:
    """What each level holds, spread evenly over its occupied bins."""
    index = (levels.codes(centres) - levels.first_code).astype(np.intp)
    index += np.arange(len(kept))[:, None] * (quant_max + 1)
    size = len(kept) * (quant_max + 1)
    mass = np.bincount(index.reshape(-1), kept.reshape(-1), size)
    seats = np.bincount(index.reshape(-1), occupied.reshape(-1), size)
    share = mass / np.maximum(seats, 1)
    return np.asarray(np.where(occupied, share[index], 0.0))
