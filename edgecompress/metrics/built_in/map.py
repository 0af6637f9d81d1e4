"""Mean average precision of boxes as COCO has it, in percent: over overlaps of 50 to 95 % (Lin et al., 2014)."""

from __future__ import annotations

import numpy as np

from edgecompress.metrics.boxes import MeanAveragePrecision


class CocoMeanAveragePrecision(MeanAveragePrecision):
    """The mean over ten overlaps, 0.5 to 0.95."""

    def __init__(self) -> None:
        super().__init__(np.linspace(0.5, 0.95, 10).tolist())


make = CocoMeanAveragePrecision
