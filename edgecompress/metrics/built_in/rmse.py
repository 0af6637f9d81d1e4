"""Root of the mean squared error of the first output, in the unit of the targets."""

from __future__ import annotations

import math

from edgecompress.metrics.paired import MeanOf, Numbers


class RootMeanSquaredError(MeanOf):
    """Over all values of all samples."""

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__(_squares)

    def compute(self) -> float:
        """The root; NaN of nothing."""
        return math.sqrt(super().compute())


def _squares(values: Numbers, targets: Numbers) -> Numbers:
    return (values - targets) ** 2


make = RootMeanSquaredError
