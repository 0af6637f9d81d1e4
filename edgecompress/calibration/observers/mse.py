"""The range of least squared error."""

from __future__ import annotations

from edgecompress.calibration.clip_search import cheapest_range, squared_error
from edgecompress.calibration.observer import Demand, Statistics


def find_range(statistics: Statistics, demand: Demand) -> tuple[float, float]:
    """The range of least expected squared error for the levels that the scheme really has."""
    return cheapest_range(statistics.histogram, demand.quant_max, squared_error)
