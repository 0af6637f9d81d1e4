"""Labels are called shifted only where chance cannot have made them look so."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from edgecompress.errors import DataError
from edgecompress.validation.label_shift import GUESSED, PROVEN, LabelShift, require_unshifted

CLASSES = 10
ANSWERS = np.random.default_rng(0).integers(0, CLASSES, 200)


def _counted(answers: np.ndarray, labels: np.ndarray, classes: int = CLASSES) -> LabelShift:
    return LabelShift.of(np.eye(classes)[answers], labels)


@pytest.mark.parametrize(
    ("shift", "way"),
    [
        (1, "lower"),
        (-1, "higher"),
    ],
)
def test_shifted_labels_are_refused_with_what_they_are_shifted_by(shift: int, way: str) -> None:
    with pytest.raises(DataError) as caught:
        require_unshifted(_counted(ANSWERS, (ANSWERS + shift) % CLASSES), "evaluation")
    assert str(caught.value) == (
        f"the labels of the evaluation data are shifted by one: the model is right on 0.00 % of them, and on"
        f" 100.00 % of those that are 1 {way}; number the classes as the model does, from 0"
    )


def test_two_classes_that_are_swapped_are_shifted() -> None:
    assert _counted(ANSWERS % 2, 1 - ANSWERS % 2, 2).proven


def test_a_model_that_is_right_a_little_more_often_than_chance_has_the_labels_it_should() -> None:
    labels = (ANSWERS + 1) % CLASSES
    labels[:50] = ANSWERS[:50]
    assert _counted(ANSWERS, labels).proven == 0


def test_a_model_that_always_answers_the_same_says_nothing_of_the_labels() -> None:
    assert _counted(np.zeros(500, np.int64), np.ones(500, np.int64)).proven == 0


def test_few_samples_prove_nothing() -> None:
    assert _counted(ANSWERS[:6], (ANSWERS[:6] + 1) % CLASSES).proven == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(2, 12))
def test_random_labels_are_never_called_shifted(seed: int, rows: int, classes: int) -> None:
    chance = np.random.default_rng(seed)
    answers, labels = (chance.choice(classes, rows, p=chance.dirichlet(np.ones(classes))) for _ in range(2))
    assert _counted(answers, labels, classes).proven == 0


@given(st.integers(0, 2**32 - 1))
def test_batches_add_up(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, CLASSES, len(ANSWERS))
    parts = [_counted(ANSWERS[start : start + 30], labels[start : start + 30]) for start in range(0, 200, 30)]
    merged, whole = reduce(LabelShift.merge, parts), _counted(ANSWERS, labels)
    for name in ("right", "answers", "labels"):
        assert getattr(merged, name).tolist() == getattr(whole, name).tolist()


def test_the_bound_is_one_of_the_binomial_distribution() -> None:
    for found in range(21, 200, 7):
        labels = np.where(np.arange(200) < found, ANSWERS, (ANSWERS + 5) % CLASSES)
        shift = _counted(ANSWERS, labels)
        expected = float(shift.answers @ shift.labels) / 200
        assert shift.chance(0) >= binom.sf(found - 1, 200, expected / 200)
    assert PROVEN < GUESSED


def test_labels_that_do_not_count_are_left_out() -> None:
    labels = np.where(np.arange(200) < 100, -100, (ANSWERS + 1) % CLASSES)
    assert _counted(ANSWERS, labels).labels.sum() == 100


@pytest.mark.parametrize(("right", "guessed"), [(10, True), (18, True), (25, False), (90, False)])
def test_ten_classes_can_be_guessed_at_a_tenth(right: int, guessed: bool) -> None:
    # 100 guesses among 10: 10 right in the mean, with a standard deviation of 3.
    labels = np.arange(100) % 10
    answers = np.where(np.arange(100) < right, labels, (labels + 1) % 10)
    assert LabelShift.of(np.eye(10)[answers], labels).could_be_guessed is guessed


def test_labels_that_are_no_class_of_the_scores_do_not_count() -> None:
    shift = LabelShift.of(np.eye(3), np.array([0, -100, 255]))
    assert (shift.right.tolist(), shift.labels.tolist(), shift.classes) == ([0, 1, 0], [1, 0, 0], 3)


@given(st.integers(2, 10), st.integers(1, 300), st.integers(0, 100))
def test_a_class_is_silent_where_a_model_as_right_would_have_answered_it(classes: int, each: int, percent: int) -> None:
    """Class 0 is never answered; the others are right so often."""
    labels = np.arange(classes).repeat(each)
    right = np.arange(each * classes) % each * 100 < percent * each
    answers = np.where((labels > 0) & right, labels, 1 + labels % (classes - 1))
    shift = LabelShift.of(np.eye(classes)[answers], labels)
    wrong = (answers != labels).mean()
    assert shift.silent(len(labels)) == ((0,) if wrong**each < 1e-6 else ())
    assert shift.silent(2) == ((0,) if wrong ** (2 / classes) < 1e-6 else ())


def test_where_every_class_is_answered_none_is_silent() -> None:
    labels = np.arange(4).repeat(100)
    assert LabelShift.of(np.eye(4)[labels], labels).silent(400) == ()
