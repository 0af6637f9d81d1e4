"""Accuracy against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgecompress.errors import DataError
from edgecompress.metrics.accuracy import Tally, top1

scores = hnp.arrays(np.float32, (6, 4), elements=st.floats(-10, 10, width=32))


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


def test_masks_with_a_channel_are_told_to_lose_it() -> None:
    scores, masks = np.zeros((2, 2, 8, 8)), np.zeros((2, 1, 8, 8), np.int64)
    with pytest.raises(DataError, match=r"give them without the dimension of 1, labels\.squeeze\(1\)$"):
        top1(scores, masks)
    assert top1(scores, masks.squeeze(1)).percent == 100


def test_one_score_for_both_classes_is_told_to_become_two() -> None:
    scores = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    masks = (scores > 0).astype(np.int64)
    with pytest.raises(DataError, match=r"give those of both classes \(--postprocess\), and labels\.squeeze\(1\)$"):
        top1(scores, masks)
    with pytest.raises(DataError, match="the model gives one score; give the scores of both classes"):
        top1(scores, masks.squeeze(1))
    assert top1(np.concatenate([-scores, scores], 1), masks.squeeze(1)).percent == 100
