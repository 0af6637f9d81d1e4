"""The whole range that was seen."""

from __future__ import annotations

from edgecompress.calibration.observer import Demand, Statistics


def find_range(statistics: Statistics, _demand: Demand) -> tuple[float, float]:
    """All that was seen: ``MinMaxObserver`` of PyTorch."""
    return statistics.histogram.low, statistics.histogram.high
