"""Mean absolute error of the first output, in the unit of the targets."""

from __future__ import annotations

from edgecompress.metrics.paired import MeanOf, Numbers


class MeanAbsoluteError(MeanOf):
    """Over all values of all samples."""

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__(_errors)


def _errors(values: Numbers, targets: Numbers) -> Numbers:
    return abs(values - targets)


make = MeanAbsoluteError
