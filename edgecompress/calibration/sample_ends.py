"""The least and the greatest value of each sample, averaged exactly.

A float32 is a whole multiple of 2^-149, its least denormal, so that sums of float32 in that unit are whole
numbers: they come out equal whatever the order of the samples and the split over batches or workers, where sums
of floats do not. A sum over N samples has 277 + log2(N) bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

UNIT_BITS = 149


@dataclass(frozen=True, kw_only=True)
class SampleEnds:
    """Sums over samples of each sample's least and greatest value, in units of 2^-149.

    >>> ends = SampleEnds.of(np.array([0.0, -2.0], np.float32), np.array([1.0, 4.0], np.float32))
    >>> ends.mean_low, ends.mean_high
    (-1.0, 2.5)
    """

    samples: int
    low_units: int
    high_units: int

    @classmethod
    def of(cls, lows: NDArray[np.float32], highs: NDArray[np.float32]) -> Self:
        """Sums from each sample's least and greatest value, finite, both of shape (samples,)."""
        return cls(samples=len(lows), low_units=_units(lows), high_units=_units(highs))

    @property
    def mean_low(self) -> float:
        """Mean of the samples' least values, correctly rounded."""
        return self.low_units / (self.samples << UNIT_BITS)

    @property
    def mean_high(self) -> float:
        """Mean of the samples' greatest values, correctly rounded."""
        return self.high_units / (self.samples << UNIT_BITS)

    def merge(self, other: SampleEnds) -> Self:
        """The ends of the samples of both."""
        return type(self)(
            samples=self.samples + other.samples,
            low_units=self.low_units + other.low_units,
            high_units=self.high_units + other.high_units,
        )


def _units(values: NDArray[np.float32]) -> int:
    return sum(int(math.ldexp(value, UNIT_BITS)) for value in values.tolist())
