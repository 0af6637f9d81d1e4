"""Another reading is told where it fits the targets far better, and never where the data are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.validation.readings import SAMPLES, Readings

Array = np.ndarray[Any, Any]


def _doubts(measure: Measure, given: Any, targets: Any, size: int) -> tuple[str, ...]:
    readings = Readings(measure)
    for start in range(0, len(targets), size):
        stop = min(start + size, len(targets))
        readings.add(given[start:stop], targets[start:stop], stop - start)
    return readings.doubts


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_a_shift_by_a_sample_is_told_whatever_the_batches(seed: int, size: int) -> None:
    values = np.random.default_rng(seed).normal(size=(50, 2))
    (doubt,) = _doubts(named_measure("mae"), values, np.roll(values, 1, 0), size)
    assert doubt.startswith(f"the float model's 'mae' on the first {SAMPLES} samples is ")
    assert doubt.endswith(
        ", and 0.000 where each sample has the target of the one after it; check that inputs and targets are in one"
        " order, and none is left out"
    )
    assert _doubts(named_measure("mae"), values, values, size) == ()


@given(st.integers(0, 10**6), st.sampled_from(["top1", "miou", "mae"]))
def test_of_a_network_that_guesses_nothing_is_told(seed: int, name: str) -> None:
    """No reading of chance is better than another beyond what twice an interval holds."""
    generator = np.random.default_rng(seed)
    places = (6, 6) if name == "miou" else ()
    scores = generator.normal(size=(50, 4, *places))
    targets = generator.normal(size=(50, 4)) if name == "mae" else generator.integers(0, 4, (50, *places))
    assert _doubts(named_measure(name), scores, targets, 10) == ()


def test_a_network_that_is_somewhat_right_is_believed() -> None:
    """Half of the answers are right; masks are blocks, so that one pixel more or less changes little."""
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 3, (50, 2, 2)).repeat(6, 1).repeat(6, 2)
    scores = np.moveaxis(np.eye(3)[masks], -1, 1) + generator.normal(size=(50, 3, 12, 12))
    assert _doubts(named_measure("miou"), scores, masks, 10) == ()


@given(st.integers(0, 10**6))
def test_answers_that_are_opposed_to_the_targets_are_no_shift(seed: int) -> None:
    """Targets of any other sample fit better than their own."""
    values = np.random.default_rng(seed).normal(size=(50, 2))
    assert _doubts(named_measure("mae"), values, -values, 10) == ()


@pytest.mark.parametrize("moved", [(1, 1), (-1, 1)])
def test_masks_that_are_moved_along_both_axes_are_told_of_one(moved: tuple[int, int]) -> None:
    masks = np.random.default_rng(0).integers(0, 3, (50, 4, 4)).repeat(3, 1).repeat(3, 2)
    scores = np.moveaxis(np.eye(3)[masks], -1, 1)
    (doubt,) = _doubts(named_measure("miou"), scores, np.roll(masks, moved, (1, 2)), 10)
    assert " where the masks are moved " in doubt


@pytest.mark.parametrize("count", [1, 4])
def test_of_few_samples_nothing_is_told(count: int) -> None:
    values = np.arange(float(count))
    assert _doubts(named_measure("mae"), values, np.roll(values, 1), 2) == ()


def test_samples_that_cannot_be_told_apart_are_left_out() -> None:
    readings = Readings(named_measure("mae"))
    readings.add({"whole": np.zeros(3)}, np.zeros(2), 2)
    assert readings.doubts == ()


class Counting:
    """An object of the user's own, which is given each batch once."""

    def __init__(self) -> None:
        self.batches = 0

    def update(self, outputs: Array, targets: Array) -> None:
        self.batches += 1

    def compute(self) -> float:
        return 1.0 / self.batches

    def reset(self) -> None:
        self.batches = 0


def test_a_metric_that_cannot_be_drawn_is_not_asked() -> None:
    values = np.arange(20.0)
    assert _doubts(own_measure(Counting, "counting"), values, np.roll(values, 1), 5) == ()


def test_boxes_of_poor_classes_are_no_fault_where_as_much_is_right() -> None:
    """Of two boxes in three the class is right: well above half of what is found whatever the class."""
    generator = np.random.default_rng(0)
    low = generator.random((SAMPLES, 3, 2)) * 50
    boxes, labels = np.concatenate([low, low + 10], -1), generator.integers(0, 3, (SAMPLES, 3))
    found = [
        {
            "boxes": own,
            "labels": np.where([False, False, True], (label + 1) % 3, label),
            "scores": np.array([0.9, 0.8, 0.7]),
        }
        for own, label in zip(boxes, labels, strict=True)
    ]
    targets = [{"boxes": own, "labels": label} for own, label in zip(boxes, labels, strict=True)]
    assert _doubts(named_measure("map50"), found, targets, 8) == ()
