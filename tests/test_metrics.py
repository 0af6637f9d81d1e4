"""Agreement and accuracy against closed forms and float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgecompress.errors import DataError
from edgecompress.metrics import IDENTICAL_DB, Agreement, Tally, top1

scores = hnp.arrays(np.float32, (6, 4), elements=st.floats(-10, 10, width=32))


@pytest.mark.parametrize(("share", "decibel"), [(0.1, 20.0), (0.01, 40.0), (1.0, 0.0), (10.0, -20.0)])
def test_the_sqnr_of_a_proportional_error(share: float, decibel: float) -> None:
    x = np.arange(1.0, 9.0).reshape(2, 4)
    assert Agreement.between([x], [x * (1 + share)]).sqnr_db == pytest.approx(decibel, abs=1e-9)


def test_identical_outputs_agree_wholly() -> None:
    agreement = Agreement.between([np.eye(3)], [np.eye(3)])
    assert (agreement.sqnr_db, agreement.max_abs_error, agreement.top1_agreement) == (IDENTICAL_DB, 0.0, 1.0)


def test_the_worst_output_counts() -> None:
    good, bad = np.ones((2, 2)), np.ones((2, 2))
    assert Agreement.between([good, bad], [good, bad * 1.1]).sqnr_db == pytest.approx(20.0)


@given(scores, scores)
def test_batches_add_up_to_the_whole(reference: NDArray[np.float32], actual: NDArray[np.float32]) -> None:
    parts = Agreement()
    for rows in (slice(0, 2), slice(2, 3), slice(3, 6)):
        parts = parts.merge(Agreement.between([reference[rows]], [actual[rows]]))
    whole = Agreement.between([reference], [actual])
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)
    assert parts.max_abs_error == whole.max_abs_error
    assert parts.top1_agreement == whole.top1_agreement


@given(scores, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_accuracy_is_the_share_of_right_answers(outputs: NDArray[np.float32], labels: list[int]) -> None:
    right = sum(int(np.argmax(row)) == label for row, label in zip(outputs, labels, strict=True))
    assert top1(outputs, np.array(labels)).percent == pytest.approx(100 * right / 6)


def test_classes_may_lie_along_the_second_or_the_last_axis() -> None:
    pixels = np.zeros((2, 3, 4, 5))
    pixels[:, 1] = 1
    assert top1(pixels, np.ones((2, 4, 5), np.int64)).percent == 100
    assert top1(pixels.transpose(0, 2, 3, 1), np.ones((2, 4, 5), np.int64)).percent == 100


def test_ignored_labels_do_not_count() -> None:
    assert top1(np.eye(3), np.array([0, -100, 2])) == Tally(right=2, total=2, classes=3)


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_named(label: int) -> None:
    with pytest.raises(
        DataError, match=f"evaluation batch 0: label {label} is out of range; the model gives 3 classes"
    ):
        top1(np.eye(3), np.array([0, label, 1]), "evaluation batch 0")


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="do not fit outputs"):
        top1(np.eye(3), np.zeros((3, 2), np.int64))


@pytest.mark.parametrize(("right", "guessed"), [(10, True), (18, True), (25, False), (90, False)])
def test_ten_classes_can_be_guessed_at_a_tenth(right: int, guessed: bool) -> None:
    # 100 guesses among 10: 10 right in the mean, with a standard deviation of 3.
    assert Tally(right=right, total=100, classes=10).could_be_guessed is guessed


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_no_agreement(wrong: float) -> None:
    found = Agreement.between([np.ones((2, 3))], [np.array([[1, 1, wrong], [1, 1, 1]])])
    assert found.sqnr_db == -IDENTICAL_DB


def test_infinity_in_both_is_agreement() -> None:
    masked = np.array([[0.5, -np.inf], [np.inf, 1.0]])
    found = Agreement.between([masked], [masked + np.array([[0.05, 0], [0, 0]])])
    assert found.sqnr_db == pytest.approx(10 * np.log10(1.25 / 0.0025))
    assert found.max_abs_error == pytest.approx(0.05)
