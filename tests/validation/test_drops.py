"""A drop that chance explains is no drop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.metrics.running import Running
from edgecompress.validation.drops import FEWEST, Drop, drops

TOP1, MAE = named_measure("top1"), named_measure("mae")
TWO = [(0, 1)]
Array = np.ndarray[Any, Any]


def _drop(measure: Measure, before: Array, after: Array, targets: Any, rows: int = 0) -> Drop:
    running = [Running(measure), Running(measure)]
    for own, outputs in zip(running, (before, after), strict=True):
        for start in range(0, len(outputs), rows or len(outputs)):
            stop = start + (rows or len(outputs))
            own.update([outputs[start:stop]], targets[start:stop], "batch", 1)
    (found,) = drops(measure, [own.value for own in running], [own.drawable for own in running], TWO)
    assert found is not None
    return found


def _answers(right: Array) -> Array:
    """Scores of two classes; class 0 is right."""
    return np.where(right[:, None], [[1.0, 0.0]], [[0.0, 1.0]])


def _of_answers(lost: int, won: int, same: int) -> Drop:
    """The drop of a network that loses some samples that were right, and wins others; half of the rest is right."""
    before = np.array([True] * lost + [False] * won + [True, False] * (same // 2))
    after = np.array([False] * lost + [True] * won + [True, False] * (same // 2))
    return _drop(TOP1, _answers(before), _answers(after), np.zeros(len(before), int))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(5, 150))
def test_accuracy_is_worse_where_mcnemar_s_test_says_so(lost: int, won: int, same: int) -> None:
    """The exact test: of the samples that changed, half are lost by chance (McNemar 1947)."""
    chance = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assume(chance < 0.02 or chance > 0.12)
    found = _of_answers(lost, won, 2 * same)
    assert found.verdict is not None
    if chance < 0.02:
        assert found.verdict == ("worse" if lost > won else "better")
    else:
        assert found.verdict in ("no difference", "too few samples to say")


@pytest.mark.parametrize(("lost", "won", "same"), [(40, 20, 400), (60, 50, 380), (10, 45, 300), (300, 200, 4000)])
def test_the_interval_of_accuracy_is_that_of_paired_shares(lost: int, won: int, same: int) -> None:
    """Agresti, "Categorical Data Analysis": the variance of the difference of two paired shares."""
    found, count = _of_answers(lost, won, same), lost + won + same
    middle = 100 * (lost - won) / count
    wide = 196 * np.sqrt(lost + won - (lost - won) ** 2 / count) / count
    assert found.interval_95 == pytest.approx((middle - wide, middle + wide), abs=0.15 * wide)


def test_without_a_changed_answer_there_is_no_difference() -> None:
    found = _of_answers(0, 0, 20)
    assert (found.interval_95, found.verdict) == ((0.0, 0.0), "no difference")
    assert found.words == "no difference"


@pytest.mark.parametrize("rows", [FEWEST - 1, FEWEST])
def test_of_very_few_samples_nothing_is_said(rows: int) -> None:
    wrong = np.zeros(rows, bool)
    found = _drop(TOP1, _answers(~wrong), _answers(wrong), np.zeros(rows, int))
    assert (found.interval_95 is None, found.verdict) == ((True, None) if rows < FEWEST else (False, "worse"))


def test_that_of_an_error_is_worse_where_it_grows() -> None:
    """Of a mean of differences the interval is Student's."""
    generator = np.random.default_rng(0)
    errors = np.abs(generator.normal(size=200)) + 1
    more = errors + 0.2 + generator.normal(size=200) * 0.5
    found = _drop(MAE, errors, more, np.zeros(200))
    wanted = stats.ttest_1samp(np.abs(more) - errors, 0).confidence_interval()
    assert found.interval_95 == pytest.approx((wanted.low, wanted.high), abs=0.01)
    assert found.verdict == "worse"
    assert _drop(MAE, more, errors, np.zeros(200)).verdict == "better"


def test_networks_that_differ_alike_on_all_samples_are_told_apart_beyond_what_each_varies() -> None:
    """Samples are drawn for both together: errors from 0 to 100 that are all larger by 1."""
    errors = np.linspace(0, 100, 50)
    found = _drop(MAE, errors, errors + 1, np.zeros(50))
    assert found.interval_95 == pytest.approx((1.0, 1.0))
    assert found.verdict == "worse"


def _by_batches(outputs: Array, targets: Array) -> float:
    return float(np.abs(outputs - targets).mean())


def test_a_function_is_told_apart_by_batches_and_of_an_object_nothing_is_known() -> None:
    errors = np.linspace(0, 1, 60)
    function = own_measure(_by_batches, "own")
    assert _drop(function, errors, errors + 1, np.zeros(60), rows=5).interval_95 is not None
    assert _drop(function, errors, errors + 1, np.zeros(60), rows=30).interval_95 is None  # two batches
    unknown = _drop(own_measure(Opaque, "opaque"), errors, errors + 1, np.zeros(60), rows=5)
    assert (unknown.interval_95, unknown.verdict, unknown.is_one) == (None, None, True)
    assert unknown.words == unknown.change == "-1.000"


class Opaque:
    """A metric that says nothing of single samples."""

    def __init__(self) -> None:
        self.errors: list[float] = []

    def update(self, outputs: Array, targets: Array) -> None:
        self.errors += np.abs(outputs - targets).tolist()

    def compute(self) -> float:
        return -float(np.mean(self.errors))

    def reset(self) -> None:
        self.errors = []

    def drawable(self) -> str:
        return "something else of the same name"


@pytest.mark.parametrize(
    ("interval", "unit", "before", "verdict"),
    [
        ((0.1, 30.0), "%", 50.0, "worse"),
        ((-30.0, -0.1), "%", 50.0, "better"),
        ((-4.9, 5.0), "%", 50.0, "no difference"),
        ((-5.1, 5.0), "%", 50.0, "too few samples to say"),
        ((-0.04, 0.05), "m", 1.0, "no difference"),
        ((-0.06, 0.05), "m", 1.0, "too few samples to say"),
        ((0.0, 0.0), "m", 0.0, "no difference"),
    ],
)
def test_what_holds_zero_is_neither_gain_nor_loss(
    interval: tuple[float, float], unit: str, before: float, verdict: str
) -> None:
    found = Drop(before=before, after=before, unit=unit, higher_is_better=True, interval_95=interval)
    assert found.verdict == verdict
    assert found.is_one is (verdict in ("better", "worse"))


def test_a_record_without_an_interval_says_its_number() -> None:
    entry = {"original": 0.5, "compressed": 0.75, "unit": "m", "higher_is_better": False}
    found = Drop.recorded(entry)
    assert found is not None
    assert (found.words, found.span, found.verdict) == ("+0.2500 m", "", None)
    assert Drop.recorded({**entry, "original": None}) is None


def test_a_network_without_a_value_has_no_drop() -> None:
    assert drops(TOP1, [None, None], [None, None], TWO) == (None,)
