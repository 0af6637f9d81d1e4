"""Every metric of the package against another implementation, over batches of any sizes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from edgecompress.errors import DataError
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running
from edgecompress.registry import METRICS, built_in

CLASSES = 7
Array = np.ndarray[Any, Any]
Oracle = Callable[[Array, Array], float]


def _measured(name: str, outputs: Array, targets: Array, cuts: list[int]) -> float | None:
    running = Running(named_measure(name))
    places = [0, *sorted({cut for cut in cuts if cut < len(targets)} - {0}), len(targets)]
    for start, stop in pairwise(places):
        running.update([outputs[start:stop]], targets[start:stop], "batch")
    return running.value


def _drawn(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _labels(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed + 1).integers(0, CLASSES, shape)


seeds, rows, cuts = st.integers(0, 10**6), st.integers(2, 40), st.lists(st.integers(1, 39), max_size=4)


def _top(best: int) -> Oracle:
    def score(scores: Array, labels: Array) -> float:
        return 100 * float(oracle.top_k_accuracy_score(labels, scores, k=best, labels=range(CLASSES)))

    return score


@given(seeds, rows, cuts)
@pytest.mark.parametrize(("name", "best"), [("top1", 1), ("top5", 5)])
def test_top_classes(name: str, best: int, seed: int, rows: int, cuts: list[int]) -> None:
    scores, labels = _drawn(seed, rows, CLASSES), _labels(seed, rows)
    assert _measured(name, scores, labels, cuts) == pytest.approx(_top(best)(scores, labels), abs=1e-9)


def test_of_equal_scores_the_first_classes_count() -> None:
    """A network that always answers the same is right by chance alone."""
    labels = np.arange(CLASSES)
    assert _measured("top5", np.zeros((CLASSES, CLASSES)), labels, []) == pytest.approx(100 * 5 / CLASSES)
    assert _measured("top1", np.zeros((CLASSES, CLASSES)), labels, []) == pytest.approx(100 / CLASSES)


@given(seeds, rows, cuts, st.sampled_from([-100, 255]), st.sampled_from([1, -1]))
def test_mean_intersection_over_union(seed: int, rows: int, cuts: list[int], ignored: int, axis: int) -> None:
    scores, masks = _drawn(seed, rows, CLASSES, 3, 5), _labels(seed, rows, 3, 5)
    masks[np.random.default_rng(seed).random(masks.shape) < 0.3] = ignored
    counted = masks != ignored
    wanted = oracle.jaccard_score(masks[counted], scores.argmax(1)[counted], average="macro")
    if axis == -1:
        scores = np.moveaxis(scores, 1, -1)
    assert _measured("miou", scores, masks.astype(np.int16), cuts) == pytest.approx(100 * wanted, abs=1e-9)


def test_a_class_that_is_255_counts() -> None:
    scores = np.eye(300)[[255, 255]]
    assert _measured("miou", scores, np.array([255, 0]), []) == pytest.approx(100 * (1 / 2 + 0) / 2)


@given(seeds, rows, cuts, st.sampled_from([(), (1,), (3,), (2, 4)]))
def test_errors_of_numbers(seed: int, rows: int, cuts: list[int], shape: tuple[int, ...]) -> None:
    outputs, targets = _drawn(seed, rows, *shape), _drawn(seed + 1, rows, *shape)
    flat = targets.ravel().astype(np.float64), outputs.ravel().astype(np.float64)
    assert _measured("mae", outputs, targets, cuts) == pytest.approx(oracle.mean_absolute_error(*flat))
    assert _measured("rmse", outputs, targets, cuts) == pytest.approx(oracle.root_mean_squared_error(*flat))


@given(seeds, rows, cuts)
def test_cosines_of_embeddings(seed: int, rows: int, cuts: list[int]) -> None:
    outputs, targets = _drawn(seed, rows, 6), _drawn(seed + 1, rows, 6)
    outputs[0] = 0
    wanted = oracle.pairwise.cosine_similarity(outputs, targets).diagonal().mean()
    assert _measured("cosine", outputs, targets, cuts) == pytest.approx(wanted, abs=1e-6)


@given(rows, seeds)
def test_a_column_of_outputs_fits_a_row_of_targets(rows: int, seed: int) -> None:
    """(rows, 1) and (rows,): each output has its own target, and nothing is broadcast."""
    outputs = _drawn(seed, rows, 1)
    assert _measured("mae", outputs, outputs[:, 0] + 1, []) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["mae", "rmse", "cosine"])
def test_targets_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(DataError) as caught:
        _measured(name, np.zeros((4, 3)), np.zeros((4, 2)), [])
    assert str(caught.value) == (
        "batch: targets of shape (4, 2) do not fit outputs of shape (4, 3); give a target for each value"
    )


@pytest.mark.parametrize(
    ("outputs", "targets", "told"),
    [
        (
            np.zeros((2, 1)),
            [[1.0], [1.0, 2.0]],
            "batch: targets are a list that is no array of numbers; give a number for each value",
        ),
        (
            np.zeros((2, 1)),
            ["a", "b"],
            "batch: targets are a list that is no array of numbers; give a number for each value",
        ),
        (
            np.array(["a", "b"]),
            np.zeros(2),
            "batch: outputs are a ndarray that is no array of numbers; give a number for each value",
        ),
    ],
)
def test_what_is_no_number_is_refused(outputs: Any, targets: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        Running(named_measure("mae")).update([outputs], targets, "batch")
    assert str(caught.value) == told


def test_numbers_in_lists_are_numbers() -> None:
    running = Running(named_measure("mae"))
    running.update([np.zeros((2, 2))], [[1, 2], [3, 4]], "batch")
    assert running.value == pytest.approx(2.5)


@pytest.mark.parametrize("name", built_in(METRICS))
def test_a_metric_begins_anew(name: str) -> None:
    measure = named_measure(name)
    metric = measure.make()
    assert np.isnan(metric.compute())
    given = (np.eye(CLASSES), np.arange(CLASSES)) if measure.of_classes else (np.eye(CLASSES), np.eye(CLASSES))
    metric.update(*given)
    best = metric.compute()
    assert best == pytest.approx({"%": 100}.get(measure.unit, 1.0 if measure.wants_more else 0.0))
    metric.reset()
    assert np.isnan(metric.compute())
