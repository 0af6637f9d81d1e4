"""Root of the mean squared error of the first output, in the unit of the targets."""

from __future__ import annotations

import numpy as np

from edgecompress.metrics.paired import MeanOf, Numbers
from edgecompress.metrics.sums import Sums


class RootMeanSquaredError(MeanOf):
    """Over all values of all samples."""

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__(_squares)

    def _values(self, sums: Sums) -> Sums:
        return np.sqrt(super()._values(sums))


def _squares(values: Numbers, targets: Numbers) -> Numbers:
    return (values - targets) ** 2


make = RootMeanSquaredError
