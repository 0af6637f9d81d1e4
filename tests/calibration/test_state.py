"""Parts over disjoint batches merge to what one pass over all of them gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.state import Calibration, Survey
from edgecompress.errors import DataError, EdgecompressError
from tests.calibration.states import calibration_of, counts_of, mark_of, survey_of


@given(st.permutations(range(6)), st.integers(0, 6), st.integers(0, 6))
def test_any_split_in_any_order_is_one_pass(order: list[int], this: int, other: int) -> None:
    cuts = sorted((this, other))
    parts = [order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] :]]
    whole = survey_of(list(range(6)))
    merged = reduce(Survey.merge, map(survey_of, parts))
    assert merged == whole
    first, second, third = (calibration_of(whole, part) for part in parts)
    left, right = first.merge(second).merge(third), first.merge(second.merge(third))
    expected = calibration_of(whole, list(range(6)))
    assert counts_of(left) == counts_of(right) == counts_of(third.merge(second).merge(first)) == counts_of(expected)
    assert left.digest == right.digest == expected.digest
    assert left.counted_samples == left.samples == 18


def test_a_batch_in_both_parts_is_refused() -> None:
    with pytest.raises(DataError, match="batch 1 is in both parts"):
        survey_of([0, 1]).merge(survey_of([1, 2]))
    survey = survey_of([0, 1, 2])
    with pytest.raises(DataError, match="batch 1 is in both parts"):
        calibration_of(survey, [0, 1]).merge(calibration_of(survey, [1]))


def test_countings_over_different_surveys_are_refused() -> None:
    with pytest.raises(DataError, match="merge the surveys first, then count"):
        calibration_of(survey_of([0]), [0]).merge(calibration_of(survey_of([1]), [1]))


def test_the_digest_tells_the_order_of_the_batches() -> None:
    forth, back = ({0: mark_of(each), 1: mark_of(other)} for each, other in ((0, 1), (1, 0)))
    digests = {Calibration.over(Survey(batches=batches), "model").digest for batches in (forth, back)}
    assert len(digests) == 2


def test_a_tensor_that_is_not_finite_is_named() -> None:
    for value in (np.nan, np.inf):
        with pytest.raises(EdgecompressError, match="tensor 'a' of the float model is not finite"):
            Survey().add({"a": np.array([[1.0], [value]], np.float32)}, 2)


def test_an_empty_tensor_tells_nothing() -> None:
    survey = Survey().add({"a": np.zeros((2, 0), np.float32)}, 2)
    assert survey == Survey()
    with ThreadPoolExecutor(1) as pool:
        assert counts_of(Calibration.over(survey, "").add({"a": np.zeros((2, 0), np.float32)}, pool)) == {}
