"""Streaming statistics of one tensor: the extent, then a histogram over it.

Both add up exactly, whatever the order of the batches or the number of workers, because the
histogram's edges are fixed before the first value is counted. Memory does not depend on the data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

BINS = 2048


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The least and the greatest value seen."""

    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> Self:
        """The extent of a non-empty array of finite numbers."""
        return cls(low=float(values.min()), high=float(values.max()))

    def merge(self, other: Extent) -> Extent:
        """The extent of both."""
        return Extent(low=min(self.low, other.low), high=max(self.high, other.high))


@dataclass(frozen=True, kw_only=True, eq=False)
class Histogram:
    """Counts over equal bins between ``low`` and ``high``; ``counts`` is int64 of shape (bins,).

    >>> h = Histogram.empty(Extent(low=0.0, high=4.0), bins=4)
    >>> h.add(np.array([0.0, 0.5, 3.0, 4.0], np.float32)).counts.tolist()
    [2, 0, 0, 2]
    """

    low: float
    high: float
    counts: NDArray[np.int64] = field(repr=False)

    @classmethod
    def empty(cls, extent: Extent, bins: int = BINS) -> Self:
        """A histogram over ``extent`` that has counted nothing."""
        return cls(low=extent.low, high=extent.high, counts=np.zeros(bins, np.int64))

    @property
    def bin_width(self) -> float:
        """Width of one bin, in the unit of the tensor; 0 for a constant tensor."""
        return (self.high - self.low) / len(self.counts)

    def add(self, values: NDArray[np.generic]) -> Self:
        """This histogram with ``values`` counted; the greatest value falls in the last bin."""
        return self._plus(_count(values, self.low, self.high, len(self.counts)))

    def merge(self, other: Histogram) -> Self:
        """The sum of two histograms over the same edges.

        Raises:
            ValueError: the edges differ.
        """
        if (self.low, self.high, len(self.counts)) != (other.low, other.high, len(other.counts)):
            raise ValueError("histograms over different edges cannot be added")
        return self._plus(other.counts)

    def _plus(self, counts: NDArray[np.int64]) -> Self:
        return type(self)(low=self.low, high=self.high, counts=self.counts + counts)


def _count(values: NDArray[np.generic], low: float, high: float, bins: int) -> NDArray[np.int64]:
    """Number of values in each bin.

    Indices are computed in float64: in float32 the distance overflows for a tensor that spans most of
    the format's range, and rounding moves values across edges. A block at a time stays in the cache.
    """
    if not high > low:
        return np.bincount([0], weights=[values.size], minlength=bins).astype(np.int64)
    flat, counts = values.reshape(-1), np.zeros(bins, np.int64)
    for start in range(0, flat.size, 1 << 16):
        position = (flat[start : start + (1 << 16)].astype(np.float64) - low) * (bins / (high - low))
        # The extent comes from an earlier pass; clipping guards against a runtime that is not repeatable.
        index = np.clip(position, 0, bins - 1).astype(np.intp)
        counts += np.bincount(index, minlength=bins)
    return counts
