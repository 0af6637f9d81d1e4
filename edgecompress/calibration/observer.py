"""What an observer is given, and what it gives: a range of a tensor's values that the integers should cover.

Each observer is a file of ``observers/`` with a function ``find_range``; other packages register theirs as entry points
of ``edgecompress.observers`` (:mod:`edgecompress.registry`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgecompress.calibration.histogram import Histogram
from edgecompress.calibration.sample_ends import SampleEnds


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What was seen of one tensor; the histogram's edges are the tensor's extent."""

    histogram: Histogram
    ends: SampleEnds


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a range is for: codes from 0 to ``quant_max``; ``percentile``, in (50, 100], is only for that observer."""

    quant_max: int
    percentile: float = 99.99


Observer = Callable[[Statistics, Demand], tuple[float, float]]
"""A function from the statistics of a tensor to its range ``(low, high)``, in its unit and within its extent."""
