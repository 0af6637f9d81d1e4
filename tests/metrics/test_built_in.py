"""Every metric of the package against another implementation, over batches of any sizes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from edgecompress.errors import DataError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.built_in.recall_at_k import RecallAtK
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.metrics.running import Running
from edgecompress.registry import METRICS, built_in

CLASSES = 7
Array = np.ndarray[Any, Any]
Oracle = Callable[[Array, Array], float]


BOXES = [
    {"boxes": [[0, 0, 2, 1], [3, 3, 4, 5]], "labels": [1, 7], "scores": [0.9, 0.8]},
    {"boxes": [], "labels": [], "scores": []},
]


def _measured(name: str, outputs: Array, targets: Array, cuts: list[int]) -> float | None:
    return _value(named_measure(name), outputs, targets, cuts)


def _value(measure: Measure, outputs: Array, targets: Array, cuts: list[int]) -> float | None:
    running = Running(measure)
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
            "batch: outputs are an ndarray that is no array of numbers; give a number for each value",
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


@given(seeds, rows, cuts, st.sampled_from(["f1", "dice"]))
def test_harmonic_means_of_precision_and_recall(seed: int, rows: int, cuts: list[int], name: str) -> None:
    scores, labels = _drawn(seed, rows, CLASSES, 4), _labels(seed, rows, 4)
    labels[np.random.default_rng(seed).random(labels.shape) < 0.3] = -100
    counted = labels != -100
    assume(counted.any())
    wanted = oracle.f1_score(labels[counted], scores.argmax(1)[counted], average="macro")
    assert _measured(name, scores, labels, cuts) == pytest.approx(100 * wanted, abs=1e-6)


def test_unknown_places_of_a_mask_do_not_count() -> None:
    scores, mask = np.eye(3)[None], np.array([[0, 0, 255]])
    assert _measured("dice", scores, mask, []) == pytest.approx(100 * (2 / 3 + 0) / 2)
    with pytest.raises(DataError, match="label 255 is out of range"):
        _measured("f1", scores, mask, [])


@given(seeds, rows, cuts, st.booleans(), st.booleans(), st.integers(2, 5))
def test_areas_under_the_curve_of_classes(
    seed: int, rows: int, cuts: list[int], ties: bool, chances: bool, classes: int
) -> None:
    scores = _drawn(seed, rows, classes).astype(np.float64)
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    softmax = softmax.round(1) if ties else softmax
    labels = np.random.default_rng(seed).integers(0, classes, rows)
    areas = [
        oracle.roc_auc_score(labels == label, softmax[:, label])
        for label in range(1 if classes == 2 else 0, classes)
        if 0 < (labels == label).sum() < rows
    ]
    assume(areas)
    given = softmax if chances or ties else scores
    assert _measured("auroc", given, labels, cuts) == pytest.approx(100 * np.mean(areas), abs=1e-6)


@given(seeds, rows, cuts, st.sampled_from([(), (1,), (3,)]))
def test_areas_under_the_curve_of_scores_by_themselves(
    seed: int, rows: int, cuts: list[int], shape: tuple[int, ...]
) -> None:
    scores = _drawn(seed, rows, *shape).round(1)
    labels = np.random.default_rng(seed).integers(0, 2, (rows, *shape))
    columns = zip(scores.reshape(rows, -1).T, labels.reshape(rows, -1).T, strict=True)
    areas = [oracle.roc_auc_score(of, own) for own, of in columns if 0 < of.sum() < rows]
    assume(areas)
    assert _measured("auroc", scores, labels, cuts) == pytest.approx(100 * np.mean(areas), abs=1e-6)


def test_labels_that_do_not_count_are_left_out_of_the_curve() -> None:
    scores, labels = np.array([0.1, 0.9, 0.8, 0.2]), np.array([0, 1, -100, 0])
    assert _measured("auroc", scores, labels, []) == 100
    assert _measured("auroc", np.stack([-scores, scores], 1), labels, []) == 100


@pytest.mark.parametrize(
    ("scores", "labels", "told"),
    [
        (
            np.zeros((4, 3)),
            np.zeros((4, 2), int),
            "batch: labels int64 (4, 2) do not fit scores float64 (4, 3); give a class for each sample, or 0 or 1 for"
            " each score",
        ),
        (
            np.zeros((2, 3)),
            np.array([0, 3]),
            "batch: label 3 is out of range; the model gives 3 classes; number them 0 to 2, and give -100 for what does"
            " not count",
        ),
        (
            np.zeros(2),
            np.array([0.0, 0.5]),
            "batch: label 0 is out of range; the model gives 2 classes; number them 0 to 1, and give -100 for what does"
            " not count",
        ),
        (
            np.zeros((2, 1, 4, 4)),
            np.zeros((2, 1, 4, 4)),
            "batch: labels float64 (2, 1, 4, 4) are masks; give --metric miou, which reads them as integers",
        ),
    ],
)
def test_labels_that_fit_no_curve_are_refused(scores: Array, labels: Array, told: str) -> None:
    with pytest.raises(DataError) as caught:
        _measured("auroc", scores, labels, [])
    assert str(caught.value) == told


@given(seeds, rows, cuts, st.integers(1, 4))
def test_recall_among_the_nearest(seed: int, rows: int, cuts: list[int], k: int) -> None:
    embeddings, labels = _drawn(seed, rows, 5), np.random.default_rng(seed).integers(0, 4, rows)
    cosines = oracle.pairwise.cosine_similarity(embeddings.astype(np.float64))
    found = []
    for row in range(rows):
        others = [other for other in range(rows) if other != row]
        if labels[row] in labels[others]:
            nearest = sorted(others, key=lambda other: -cosines[row, other])[:k]
            found.append(labels[row] in labels[nearest])
    assume(found)
    measure = own_measure(lambda: RecallAtK(k), "recall")
    assert _value(measure, embeddings, labels, cuts) == pytest.approx(100 * np.mean(found), abs=1e-6)


def test_recall_needs_a_class_for_each_embedding() -> None:
    with pytest.raises(DataError) as caught:
        _measured("recall_at_k", np.zeros((4, 3)), np.zeros((4, 3)), [])
    assert str(caught.value) == (
        "batch: classes float64 (4, 3) do not fit embeddings float64 (4, 3); give one for each sample"
    )


@given(seeds, rows, cuts, st.booleans())
def test_signal_to_noise_of_pictures(seed: int, rows: int, cuts: list[int], whole: bool) -> None:
    peak = 255.0 if whole else 1.0
    targets: Any = (np.random.default_rng(seed).random((rows, 3, 4)) * peak).astype(np.uint8 if whole else np.float64)
    outputs = targets + peak * _drawn(seed, rows, 3, 4) / 10
    errors = [
        oracle.mean_squared_error(target.ravel(), output.ravel())
        for target, output in zip(targets, outputs, strict=True)
    ]
    wanted = np.mean([10 * np.log10(peak**2 / error) for error in errors])
    assert _measured("psnr", outputs, targets, cuts) == pytest.approx(wanted, abs=1e-6)


PERFECT: dict[str, tuple[Any, Any]] = {
    "map": (BOXES, BOXES),
    "map50": (BOXES, BOXES),
    "wer": (["a b", "c"], ["a b", "c"]),
    "cer": (["a b", "c"], ["a b", "c"]),
    "auroc": (np.eye(CLASSES), np.arange(CLASSES)),
    "recall_at_k": (np.eye(CLASSES)[[0, 0, 1, 1]], np.array([0, 0, 1, 1])),
}
"""Answers without a fault, where they are no scores of classes and no numbers."""


@pytest.mark.parametrize("name", built_in(METRICS))
def test_a_metric_begins_anew(name: str) -> None:
    measure = named_measure(name)
    metric = measure.make()
    assert np.isnan(metric.compute())
    numbers = np.eye(CLASSES), np.arange(CLASSES) if measure.of_classes else np.eye(CLASSES)
    metric.update(*PERFECT.get(name, numbers))
    best = metric.compute()
    assert best == pytest.approx({"%": 100, "dB": 100}.get(measure.unit, 1.0) if measure.wants_more else 0.0)
    metric.reset()
    assert np.isnan(metric.compute())
