"""Mean average precision of boxes at an overlap of 50 %, in percent."""

from __future__ import annotations

from edgecompress.metrics.boxes import MeanAveragePrecision


class MeanAveragePrecisionAtHalf(MeanAveragePrecision):
    """A box is found where it shares half of the area that it and the target cover."""

    def __init__(self) -> None:
        super().__init__([0.5])


make = MeanAveragePrecisionAtHalf
