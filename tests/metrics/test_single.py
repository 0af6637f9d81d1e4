"""One sample of a batch, and its value."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.outputs import Outputs
from edgecompress.metrics.single import bare, sample_of, value_of

MASK = np.array([[[0, 1], [1, 2]]])


def test_a_sample_of_named_outputs_keeps_the_names() -> None:
    found = sample_of(Outputs([np.arange(3), np.arange(6).reshape(3, 2)], ["a", "b"]), 1, 3)
    assert found["a"].tolist() == [1]
    assert found["b"].tolist() == [[2, 3]]


@pytest.mark.parametrize(
    "given", [np.zeros((2, 3)), np.array(1.0), {}, (), {"a": np.zeros(3), "b": np.zeros(2)}, ["a", "b"], "abc", None]
)
def test_what_has_no_entry_for_each_sample_has_none_to_give(given: Any) -> None:
    assert sample_of(given, 0, 3) is None


def test_a_batch_of_one_is_taken_off() -> None:
    assert bare(sample_of(torch.arange(3), 2, 3)).item() == 2
    assert bare(sample_of([{"boxes": [1]}, {"boxes": [2]}], 1, 2)) == {"boxes": [2]}


def test_a_sample_has_the_value_that_a_batch_of_it_has() -> None:
    scores = np.eye(3)[np.array([[[0, 1], [1, 1]]])].transpose(0, 3, 1, 2)
    # Class 0 is right, class 1 in two of three places, class 2 nowhere.
    assert value_of(named_measure("miou"), scores, MASK) == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)
    assert value_of(named_measure("mae"), np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]])) == 2.0
    assert value_of(named_measure("wer"), ["a b"], ["a c"]) == 50.0


def _warns(outputs: Any, targets: Any) -> float:
    warnings.warn("so few", stacklevel=1)
    return float(np.zeros(0).mean())


def _fails(outputs: Any, targets: Any) -> float:
    raise ZeroDivisionError


@pytest.mark.parametrize("function", [_warns, _fails, lambda outputs, targets: float("inf"), lambda o, t: np.zeros(2)])
def test_what_cannot_be_said_of_one_sample_is_none_and_silent(function: Any) -> None:
    assert value_of(own_measure(function, "mine"), np.zeros((1, 2)), np.zeros(1)) is None


def test_a_picture_without_boxes_has_no_precision() -> None:
    empty: dict[str, Any] = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0)}
    box = {"boxes": np.array([[0.0, 0, 1, 1]]), "labels": np.array([1]), "scores": np.array([0.5])}
    assert value_of(named_measure("map"), [box], [empty]) is None
    assert value_of(named_measure("map"), [box], [box]) == pytest.approx(100)


def test_nothing_is_said_where_no_place_counts() -> None:
    assert value_of(named_measure("miou"), np.zeros((1, 3, 2, 2)), np.full((1, 2, 2), -100)) is None
