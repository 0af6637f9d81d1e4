"""Parts over disjoint batches merge to what one pass over all of them gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.data.batches import Array, Batch
from edgecompress.errors import DataError, EdgecompressError

NAMES = ("a", "b")


def _batch(index: int) -> dict[str, Array]:
    generator = np.random.default_rng(index)
    return {name: generator.standard_t(2, (3, 2, 5)).astype(np.float32) for name in NAMES}


def _mark(index: int) -> Mark:
    return Mark.of(Batch(inputs={"x": np.full((3, 1), index)}))


def _surveyed(indices: list[int]) -> Survey:
    survey = reduce(lambda survey, index: survey.add(_batch(index), 3), indices, Survey())
    return replace(survey, batches={index: _mark(index) for index in indices})


def _counted(survey: Survey, indices: list[int]) -> Calibration:
    with ThreadPoolExecutor(1) as pool:
        empty = Calibration.over(survey, "model")
        counted = reduce(lambda calibration, index: calibration.add(_batch(index), pool), indices, empty)
    return replace(counted, counted={index: _mark(index) for index in indices})


def _counts(calibration: Calibration) -> dict[str, list[int]]:
    return {name: histogram.counts.tolist() for name, histogram in calibration.histograms.items()}


@given(st.permutations(range(6)), st.integers(0, 6), st.integers(0, 6))
def test_any_split_in_any_order_is_one_pass(order: list[int], one: int, other: int) -> None:
    cuts = sorted((one, other))
    parts = [order[: cuts[0]], order[cuts[0] : cuts[1]], order[cuts[1] :]]
    whole = _surveyed(list(range(6)))
    merged = reduce(Survey.merge, map(_surveyed, parts))
    assert merged == whole
    first, second, third = (_counted(whole, part) for part in parts)
    left, right = first.merge(second).merge(third), first.merge(second.merge(third))
    expected = _counted(whole, list(range(6)))
    assert _counts(left) == _counts(right) == _counts(third.merge(second).merge(first)) == _counts(expected)
    assert left.digest == right.digest == expected.digest
    assert left.counted_samples == left.samples == 18


def test_a_batch_in_both_parts_is_refused() -> None:
    with pytest.raises(DataError, match="batch 1 is in both parts"):
        _surveyed([0, 1]).merge(_surveyed([1, 2]))
    survey = _surveyed([0, 1, 2])
    with pytest.raises(DataError, match="batch 1 is in both parts"):
        _counted(survey, [0, 1]).merge(_counted(survey, [1]))


def test_countings_over_different_surveys_are_refused() -> None:
    with pytest.raises(DataError, match="merge the surveys first, then count"):
        _counted(_surveyed([0]), [0]).merge(_counted(_surveyed([1]), [1]))


def test_the_digest_tells_the_order_of_the_batches() -> None:
    forth, back = ({0: _mark(one), 1: _mark(other)} for one, other in ((0, 1), (1, 0)))
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
        assert _counts(Calibration.over(survey, "").add({"a": np.zeros((2, 0), np.float32)}, pool)) == {}
