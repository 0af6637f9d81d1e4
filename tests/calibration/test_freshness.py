"""Statistics of the data that is given pass; those of other data do not, and data that changes is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgecompress.calibration.freshness import UNREPEATABLE, staleness
from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.data.batches import Batch, Batches, InputNames
from edgecompress.errors import DataError

MARKS = [Mark.of(Batch(inputs={"x": np.full((2, 3), number, np.float32)})) for number in range(3)]


def _batches(number: int) -> Batches:
    raw = [np.full((2, 3), number, np.float32)]
    return Batches(role="calibration", source=lambda: raw, inputs=InputNames(names=("x",), required=1))


def _calibration(surveyed: int, counted: int) -> Calibration:
    whole = Calibration.over(Survey(batches={0: MARKS[surveyed]}, complete=True), "model")
    return replace(whole, counted={0: MARKS[counted]})


def test_the_same_data_is_fresh() -> None:
    assert staleness(_calibration(0, 0), _batches(0)) == ()


def test_other_data_is_refused() -> None:
    with pytest.raises(DataError, match="batch 0 is not the one that was counted"):
        staleness(_calibration(0, 0), _batches(1))


def test_data_that_changed_between_the_passes_is_told() -> None:
    assert staleness(_calibration(0, 1), _batches(2)) == (UNREPEATABLE,)
