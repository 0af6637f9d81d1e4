"""From batches to integers: activation statistics, the range chosen from them, scale and zero point."""

from edgecompress.calibration.collect import Calibration, collect
from edgecompress.calibration.observers import histogram_l2_range
from edgecompress.calibration.schemes import FBGEMM, QNNPACK, SCHEMES, QuantParams, Scheme
from edgecompress.calibration.statistics import Histogram

__all__ = [
    "FBGEMM",
    "QNNPACK",
    "SCHEMES",
    "Calibration",
    "Histogram",
    "QuantParams",
    "Scheme",
    "collect",
    "histogram_l2_range",
]
