"""From batches to integers: activation statistics, the range chosen from them, scale and zero point."""

from edgecompress.calibration.checkpoint import Sharing
from edgecompress.calibration.collect import collect
from edgecompress.calibration.histogram import Extent, Histogram
from edgecompress.calibration.observer import Demand, Observer, Statistics
from edgecompress.calibration.schemes import FBGEMM, FBGEMM_NARROW_WEIGHTS, QNNPACK, SCHEMES, QuantParams, Scheme
from edgecompress.calibration.state import Calibration, Survey
from edgecompress.calibration.workers import Workers, joined_workers

__all__ = [
    "FBGEMM",
    "FBGEMM_NARROW_WEIGHTS",
    "QNNPACK",
    "SCHEMES",
    "Calibration",
    "Demand",
    "Extent",
    "Histogram",
    "Observer",
    "QuantParams",
    "Scheme",
    "Sharing",
    "Statistics",
    "Survey",
    "Workers",
    "collect",
    "joined_workers",
]
