"""Agreement against closed forms and float64, as a whole, by slices, classes and samples."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgecompress.errors import ModelError
from edgecompress.metrics.agreement import ALIKE_DB, Agreement, listed
from edgecompress.metrics.slices import IDENTICAL_DB

scores = hnp.arrays(np.float32, (6, 4), elements=st.floats(-10, 10, width=32))


@pytest.mark.parametrize(("share", "decibel"), [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0), (10.0, -20.0)])
def test_the_sqnr_of_a_proportional_error(share: float, decibel: float) -> None:
    x = np.arange(1.0, 9.0).reshape(2, 4)
    assert Agreement.between([x], [x * (1 + share)]).sqnr_db == pytest.approx(decibel, abs=1e-9)


def test_identical_outputs_agree_wholly() -> None:
    agreement = Agreement.between([np.eye(3)], [np.eye(3)], class_axis=1)
    assert (agreement.sqnr_db, agreement.max_abs_error, agreement.top1_agreement) == (IDENTICAL_DB, 0.0, 1.0)


def test_the_worst_output_counts() -> None:
    good, bad = np.ones((2, 2)), np.ones((2, 2))
    assert Agreement.between([good, bad], [good, bad * 1.1]).sqnr_db == pytest.approx(20.0)


@given(scores, scores)
def test_batches_add_up_to_the_whole(reference: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
    parts = Agreement()
    for rows in (slice(0, 2), slice(2, 3), slice(3, 6)):
        parts = parts.merge(Agreement.between([reference[rows]], [actual[rows]], class_axis=1))
    whole = Agreement.between([reference], [actual], class_axis=1)
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)
    assert parts.max_abs_error == whole.max_abs_error
    assert parts.top1_agreement == whole.top1_agreement


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_no_agreement(wrong: float) -> None:
    found = Agreement.between([np.ones((2, 3))], [np.array([[1, 1, wrong], [1, 1, 1]])])
    assert found.sqnr_db == -IDENTICAL_DB


def test_infinity_in_both_is_agreement() -> None:
    masked = np.array([[0.5, -np.inf], [np.inf, 1.0]])
    found = Agreement.between([masked], [masked + np.array([[0.05, 0], [0, 0]])])
    assert found.sqnr_db == pytest.approx(10 * np.log10(1.25 / 0.0025))
    assert found.max_abs_error == pytest.approx(0.05)


def test_of_classes_nothing_is_said_unless_an_output_is_known_to_hold_them() -> None:
    assert Agreement.between([np.eye(3)], [np.eye(3)]).top1_agreement is None


def test_classes_may_lie_along_any_axis() -> None:
    places = np.random.default_rng(0).standard_normal((2, 5, 3))
    turned = places.copy()
    turned[0, 0] = places[0, 0, ::-1]  # the top class of one place of ten, unless it is in the middle
    assert places[0, 0].argmax() != 1
    assert Agreement.between([places], [turned], class_axis=-1).top1_agreement == pytest.approx(0.9)


def test_a_small_output_is_not_hidden_by_a_large_one() -> None:
    boxes, classes = 320 * np.random.default_rng(0).random((8, 4, 100)), np.random.default_rng(1).random((8, 18, 100))
    found = Agreement.between([boxes, classes], [boxes, 0 * classes], names=["boxes", "scores"])
    assert found.sqnr_db == 0
    assert found.lost() == ("scores",)
    assert Agreement.between([boxes, classes], [boxes, 0 * classes]).lost() == ("output_1",)


@pytest.mark.parametrize(("gap_db", "share"), [(ALIKE_DB + 0.01, 1.0), (ALIKE_DB - 0.01, 0.75)])
def test_samples_are_alike_down_to_a_limit(gap_db: float, share: float) -> None:
    values = np.ones((4, 3))
    actual = values.copy()
    actual[2] += 10 ** (-gap_db / 20)
    assert Agreement.between([values], [actual]).alike_share == share


def test_an_empty_sample_is_held_against_the_mean_one() -> None:
    values = np.ones((4, 3))
    values[1] = 0
    actual = values + np.array([[0], [0.01], [0], [0]])
    assert Agreement.between([values], [actual]).alike_share == 1


@given(st.permutations(range(3)))
def test_what_was_lost_does_not_depend_on_the_order_of_batches(order: list[int]) -> None:
    random = np.random.default_rng(0)
    batches = [random.standard_normal((3, 5, length)) for length in (6, 6, 7)]
    total = Agreement()
    for index in order:
        actual = batches[index].copy()
        actual[:, 3] = 0.0
        total = total.merge(Agreement.between([batches[index]], [actual]))
    assert total.lost() == ("output_0[:, 3]",)
    assert total.alike_share == 0.0


def test_an_output_whose_size_depends_on_values_is_one_line() -> None:
    with pytest.raises(ModelError) as caught:
        Agreement.between([np.zeros(2), np.zeros((2, 256))], [np.zeros(2), np.zeros((2, 253))], names=["a", "boxes"])
    assert str(caught.value) == (
        "output 'boxes' has shape (2, 256) of one model and (2, 253) of the other, so that its size depends on values;"
        " leave what selects them, such as NonMaxSuppression or NonZero, out of the model"
    )


def test_many_names_are_told_in_a_few_words() -> None:
    assert listed([f"x[:, {index}]" for index in range(80)]) == "'x[:, 0]' and 79 more"


def test_what_is_compared_takes_no_more_than_a_few_copies_of_it() -> None:
    outputs = np.random.default_rng(0).normal(size=(2, 3, 128, 128)).astype(np.float32)
    tracemalloc.start()
    Agreement.between([outputs] * 2, [outputs + 1] * 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * outputs.size * np.dtype(np.float64).itemsize
