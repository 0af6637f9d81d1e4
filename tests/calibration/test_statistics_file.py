"""What is saved comes back equal, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecompress.calibration.state import Calibration, Survey
from edgecompress.calibration.statistics_file import load, save
from edgecompress.errors import DataError, OutputError
from tests.calibration.states import calibration_of, counts_of, survey_of

SURVEY = replace(survey_of([0, 1, 5]), complete=True)
STATES = {
    "nothing": Calibration.over(Survey(), "model"),
    "survey in part": replace(Calibration.over(Survey(), "model"), survey=survey_of([0, 1])),
    "survey": Calibration.over(SURVEY, "model"),
    "counts in part": calibration_of(SURVEY, [1]),
    "whole": calibration_of(SURVEY, [0, 1, 5]),
}


@pytest.mark.parametrize("state", STATES)
def test_it_comes_back_equal(state: str, tmp_path: Path) -> None:
    calibration, path = STATES[state], tmp_path / "statistics.npz"
    save(calibration, path)
    found = load(path)
    assert (found.model, found.survey, found.counted) == ("model", calibration.survey, calibration.counted)
    assert counts_of(found) == counts_of(calibration)
    assert (found.digest, found.complete) == (calibration.digest, state == "whole")


def test_the_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    for calibration in STATES.values():
        save(calibration, path)
    assert [file.name for file in tmp_path.iterdir()] == ["statistics.npz"]
    assert load(path).complete


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 half a zip"])
def test_what_is_no_such_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no statistics file of this version; delete it, or choose another"):
        load(path)


def test_a_file_cut_short_or_of_other_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    save(STATES["whole"], path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match="no statistics file"):
        load(path)
    np.savez(path, image=np.zeros(3))
    with pytest.raises(DataError, match="no statistics file"):
        load(path)


def test_objects_in_a_file_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    np.savez(path, format=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="no statistics file"):
        load(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory; choose another --statistics FILE"):
        save(STATES["whole"], tmp_path / "missing" / "statistics.npz")
