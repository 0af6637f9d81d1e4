"""Postprocessing between outputs and metric: what it is given, and what it may give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.loading.own_metric import own_measure
from edgecompress.loading.own_postprocess import own_postprocess
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running
from tests.metrics.kept import Kept, KeptModule

OUTPUTS, SECOND = np.arange(8, dtype=np.float32).reshape(4, 2), np.ones(4, np.float32)
TARGETS: list[Any] = [{"boxes": [1]}, {"boxes": []}, {"boxes": [2, 3]}, {"boxes": [4]}]


def _given(function: Callable[[Any], Any], outputs: list[Any], metric: Kept, targets: Any = TARGETS) -> Any:
    measure = replace(own_measure(lambda: metric, "mine"), postprocess=own_postprocess(function, "mine.py:post"))
    Running(measure).update(outputs, targets, "evaluation batch 2")
    return metric.given[0]


@pytest.mark.parametrize(
    "made", [[1, 2, 3, 4], ["a"] * 4, OUTPUTS, {"anchors": [1]}, (OUTPUTS, 3), torch.zeros(4, 1), iter([])]
)
def test_what_it_makes_is_what_the_metric_is_given(made: Any) -> None:
    seen = []

    def post(outputs: Any) -> Any:
        seen.append(outputs)
        return made

    outputs, targets = _given(post, [OUTPUTS], Kept())
    assert (seen[0] is OUTPUTS, outputs is made, targets == TARGETS) == (True, True, True)


def test_several_outputs_are_a_tuple_in_their_order() -> None:
    outputs, _ = _given(lambda outputs: list(outputs[0] + outputs[1][:, None]), [OUTPUTS, SECOND], Kept())
    np.testing.assert_array_equal(np.stack(outputs), OUTPUTS + 1)


def test_it_is_given_arrays_where_the_metric_is_given_tensors() -> None:
    outputs, _ = _given(lambda outputs: [{"boxes": row.copy()} for row in outputs], [OUTPUTS], KeptModule())
    assert all(isinstance(entry["boxes"], torch.Tensor) for entry in outputs)


@given(st.integers(1, 6), st.integers(0, 6), st.booleans())
def test_entries_for_another_number_of_samples_are_refused(rows: int, count: int, as_list: bool) -> None:
    made: Any = [0] * count if as_list else np.zeros((count, 2))
    if rows == count:
        _given(lambda _: made, [np.zeros((rows, 2))], Kept(), ["a"] * rows)
        return
    with pytest.raises(RecipeError) as caught:
        _given(lambda _: made, [np.zeros((rows, 2))], Kept(), ["a"] * rows)
    entries, samples = "1 entry" if count == 1 else f"{count} entries", "1 sample" if rows == 1 else f"{rows} samples"
    told = f"postprocess 'mine.py:post' gives {entries} for {samples} of evaluation batch 2; return one for each"
    assert str(caught.value) == told


def _failing(outputs: Any) -> Any:
    raise KeyError("boxes")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (
            _failing,
            "postprocess 'mine.py:post' raised KeyError on evaluation batch 2: 'boxes'; repair it: it is given float32"
            " (4, 2), of NumPy",
        ),
        (
            lambda _: None,
            "postprocess 'mine.py:post' gives None for evaluation batch 2; return what the metric is given",
        ),
    ],
)
def test_what_fails_and_what_gives_nothing_is_named(function: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _given(function, [OUTPUTS], Kept())
    assert str(caught.value) == told


def _top1(function: Callable[[Any], Any], scores: Any, labels: Any) -> float | None:
    running = Running(replace(named_measure("top1"), postprocess=own_postprocess(function, "mine.py:post")))
    running.update(scores, labels, "evaluation batch 0")
    return running.value


@given(st.integers(1, 5), st.integers(0, 10**6))
def test_a_metric_of_classes_reads_the_scores_that_it_makes(rows: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores, labels = generator.normal(size=(rows, 3)), generator.integers(0, 3, rows)
    wanted = 100 * float((scores.argmin(1) == labels).mean())
    for function in (lambda given: -given[1], lambda given: (-given[1], 0), lambda given: torch.from_numpy(-given[1])):
        assert _top1(function, [np.zeros(rows), scores], labels) == pytest.approx(wanted)


def test_a_metric_of_classes_says_what_it_reads() -> None:
    with pytest.raises(RecipeError) as caught:
        _top1(lambda outputs: ["a"] * len(outputs), [OUTPUTS], np.zeros(4, int))
    assert str(caught.value) == (
        "metric 'top1' reads scores of classes, and postprocess gives a list of 4, the first a str; return an array of"
        " scores, or name a metric that reads it"
    )
