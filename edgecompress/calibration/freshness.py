"""Freshness: statistics are those of the data that is given, and not of other data."""

from __future__ import annotations

from edgecompress.calibration.state import Calibration, Mark
from edgecompress.data.batches import Batches
from edgecompress.errors import DataError

UNREPEATABLE = (
    "the calibration data gives other batches at each reading, and so does each run another artifact;"
    " seed what shuffles or augments them"
)


def staleness(calibration: Calibration, batches: Batches) -> tuple[str, ...]:
    """A warning where data does not repeat itself, so that no one can tell.

    Raises:
        DataError: the data does repeat itself, and the statistics are of other data.
    """
    if calibration.counted != calibration.survey.batches:
        return (UNREPEATABLE,)
    if Mark.of(batches.first()) != calibration.survey.batches[0]:
        raise DataError(
            "the statistics are of other calibration data: batch 0 is not the one that was counted; give data that"
            " repeats itself"
        )
    return ()
