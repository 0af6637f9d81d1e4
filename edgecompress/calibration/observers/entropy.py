"""The range whose integers are distributed most like the values."""

from __future__ import annotations

from edgecompress.calibration.clip_search import cheapest_range, divergence
from edgecompress.calibration.observer import Demand, Statistics


def find_range(statistics: Statistics, demand: Demand) -> tuple[float, float]:
    """The range whose integers keep most of the distribution: least Kullback-Leibler divergence."""
    return cheapest_range(statistics.histogram, demand.quant_max, divergence)
