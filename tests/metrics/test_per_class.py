"""The value of each class that a metric may give, in any form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from edgecompress.errors import RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.per_class import named_classes
from edgecompress.metrics.running import Running
from tests.metrics.kept import Kept, KeptModule

CLASSES = 5
OUTPUTS, TARGETS = np.zeros((4, 2), np.float32), np.zeros(4, np.float64)
Array = np.ndarray[Any, Any]


def _of_classes(name: str, outputs: Array, targets: Any, size: int = 3) -> dict[str, float]:
    running = Running(named_measure(name))
    for start in range(0, len(targets), size):
        running.update([outputs[start : start + size]], targets[start : start + size], "batch")
    return running.per_class


def _recalls(labels: Array, answers: Array) -> Array:
    return np.asarray(oracle.recall_score(labels, answers, average=None, labels=range(CLASSES), zero_division=0))


def _overlaps(labels: Array, answers: Array) -> Array:
    return np.asarray(oracle.jaccard_score(labels, answers, average=None, labels=range(CLASSES), zero_division=0))


def _harmonic(labels: Array, answers: Array) -> Array:
    return np.asarray(oracle.f1_score(labels, answers, average=None, labels=range(CLASSES), zero_division=0))


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (3,), (2, 2)]))
@pytest.mark.parametrize(
    ("name", "expect", "answered"),
    [("top1", _recalls, False), ("f1", _harmonic, True), ("dice", _harmonic, True), ("miou", _overlaps, True)],
)
def test_classes_have_the_values_that_scikit_learn_gives_them(
    name: str, expect: Any, answered: bool, seed: int, rows: int, size: int, places: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(rows, CLASSES, *places)).astype(np.float32)
    labels = generator.integers(0, CLASSES, (rows, *places))
    ignored = generator.random(labels.shape) < 0.2
    counted, answers = labels[~ignored], scores.argmax(1)[~ignored]
    there = np.union1d(counted, answers) if answered else np.unique(counted)
    wanted = expect(counted, answers) if counted.size else {}
    found = _of_classes(name, scores, np.where(ignored, -100, labels), size)
    assert found == pytest.approx({str(label): 100 * wanted[label] for label in there.tolist()}, abs=1e-9)


def test_a_class_is_among_the_five_best_as_often_as_counted() -> None:
    scores = np.tile(np.arange(7.0), (4, 1))  # the best five are 2 to 6
    assert _of_classes("top5", scores, np.array([0, 0, 3, -100])) == {"0": 0.0, "3": 100.0}


@given(st.integers(0, 10**6), st.integers(2, 20))
def test_areas_of_classes_are_each_against_all_others(seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.random((rows, 3)) / 3  # chances, as they are
    labels = generator.integers(0, 3, rows)
    wanted = {
        str(label): 100 * oracle.roc_auc_score(labels == label, scores[:, label])
        for label in range(3)
        if 0 < (labels == label).sum() < rows
    }
    assert _of_classes("auroc", scores, labels) == pytest.approx(wanted)


def test_the_area_of_one_of_two_classes_is_that_of_the_second() -> None:
    assert _of_classes("auroc", np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])) == {"1": 100.0}


@pytest.mark.parametrize("name", ["mae", "rmse", "cosine", "psnr"])
def test_metrics_of_numbers_have_no_classes(name: str) -> None:
    assert _of_classes(name, OUTPUTS, OUTPUTS) == {}


class _Each(Kept):
    """Gives what it is told to."""

    def __init__(self, values: Any) -> None:
        super().__init__()
        self._values = values

    def per_class(self) -> Any:
        if isinstance(self._values, BaseException):
            raise self._values
        return self._values


def _running(metric: Any) -> Running:
    running = Running(own_measure(lambda: metric, "mine"))
    running.update([OUTPUTS], TARGETS, "batch")
    return running


@pytest.mark.parametrize(
    "values",
    [
        {"0": 1, "1": 0.5},
        {0: 1.0, 1: np.float32(0.5)},
        {np.int64(0): 1.0, 1.0: torch.tensor(0.5), 2: float("nan")},
        [1, 0.5],
        (1.0, 0.5, float("nan")),
        np.array([1.0, 0.5], np.float32),
        torch.tensor([1.0, 0.5]),
    ],
)
def test_a_metric_of_ones_own_gives_them_in_any_form(values: Any) -> None:
    running = _running(_Each(values))
    running.require_one_number()
    assert running.per_class == {"0": 1.0, "1": 0.5}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (0.5, "a float"),
        (None, "None"),
        (np.zeros((2, 2)), "float64 (2, 2)"),
        ({"cat": float("inf")}, "a dict"),
        ({"cat": [1, 2]}, "a dict"),
        ({"cat": "good"}, "a dict"),
        (["a", "b"], "a list of 2, the first a str"),
    ],
)
def test_what_are_no_values_of_classes_is_told_at_once(values: Any, told: str) -> None:
    running = _running(_Each(values))
    wanted = (
        f"per_class() of metric 'mine' gives {told}; let it give a dict from classes to finite numbers, or an array"
        " with one for each class"
    )
    with pytest.raises(RecipeError) as caught:
        running.require_one_number()
    assert str(caught.value) == wanted
    with pytest.raises(RecipeError) as caught:
        _ = running.per_class
    assert str(caught.value) == wanted


def test_one_that_fails_is_told_at_the_end_for_few_batches_may_not_do() -> None:
    running = _running(_Each(ZeroDivisionError("no cats")))
    running.require_one_number()
    with pytest.raises(RecipeError) as caught:
        _ = running.per_class
    assert str(caught.value) == "per_class() of metric 'mine' raised ZeroDivisionError: no cats; repair it"


def test_nothing_is_asked_where_nothing_counts() -> None:
    assert Running(own_measure(lambda: _Each(ZeroDivisionError("no cats")), "mine")).per_class == {}


class _NoMean(KeptModule):
    """Computes a value for each class, as metrics of torchmetrics do where their average is none."""

    def __init__(self, average: str | None) -> None:
        super().__init__()
        self.average = average

    def compute(self) -> Any:
        return torch.tensor([0.25, float("nan"), 0.75])


@pytest.mark.parametrize("average", [None, "none"])
def test_a_metric_without_an_average_counts_by_the_mean_of_its_classes(average: str | None) -> None:
    running = _running(_NoMean(average))
    running.require_one_number()
    assert running.value == 0.5
    assert running.per_class == {"0": 0.25, "2": 0.75}


def test_a_vector_is_refused_where_an_average_was_asked_for() -> None:
    with pytest.raises(RecipeError, match=r"metric 'mine' gives torch.float32 \(3,\) for all batches"):
        _ = _running(_NoMean("macro")).value


@given(st.dictionaries(st.text(), st.floats(allow_infinity=False, allow_nan=True)))
def test_names_stay_and_what_is_no_number_does_not_count(values: dict[str, float]) -> None:
    assert named_classes(values) == {name: value for name, value in values.items() if value == value}
