"""The samples that lost most by the metric come first; what it says nothing of, by how little the outputs agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.validation import changes
from edgecompress.validation.changes import Answered, Changes

MAE = named_measure("mae")


def _batch(rows: int) -> Batch:
    return Batch(inputs={"x": np.zeros((rows, 5), np.float32)})


def _answered(outputs: Array, given: Any = None) -> Answered:
    return Answered(outputs=[outputs], given=outputs if given is None else given)


def _added(measure: Measure, before: Array, after: Array, targets: Any, *, kept: int = 50, size: int = 4) -> Changes:
    found = Changes(kept=kept)
    for start in range(0, len(before), size):
        rows = slice(start, start + size)
        wanted = None if targets is None else targets[rows]
        batch = _batch(len(before[rows]))
        found = found.add(measure, batch, _answered(before[rows]), _answered(after[rows]), wanted)
    return found


errors = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=15)


@given(errors, st.integers(1, 6), st.integers(0, 8))
def test_what_lost_most_is_first_whatever_the_batches(drawn: list[tuple[int, int]], size: int, kept: int) -> None:
    targets = np.zeros((len(drawn), 1))
    before, after = (np.array([[float(pair[side])] for pair in drawn]) for side in (0, 1))
    found = _added(MAE, before, after, targets, kept=kept, size=size)
    losses = {row: new - old for row, (old, new) in enumerate(drawn)}
    if not kept:
        assert found == Changes(kept=0, seen=len(drawn))
        return
    assert (found.samples, found.unvalued) == (len(drawn), 0)
    assert found.lost == sum(loss > 0 for loss in losses.values())
    assert found.won == sum(loss < 0 for loss in losses.values())
    shown = [change.loss for change in found.examples]
    assert shown == sorted((loss for loss in losses.values() if loss > 0), reverse=True)[:kept]
    for change in found.examples:
        assert losses[change.index] == change.loss
        assert (change.value_before, change.value_after) == drawn[change.index]
        assert change.before.content.tolist() == [drawn[change.index][0]]
        assert change.target is not None
        assert change.target.content.tolist() == [0.0]


@pytest.mark.parametrize("targets", [None, np.zeros((3, 1))])
def test_without_a_value_the_agreement_ranks_and_what_is_equal_is_not_shown(targets: Any) -> None:
    """Signals of 1; errors of a tenth are 20 dB, of a hundredth 40 dB."""
    before = np.ones((3, 1))
    after = before + np.array([[0.01], [0.0], [0.1]])
    measure = MAE if targets is None else own_measure(lambda outputs, wanted: float("nan"), "mine")
    found = _added(measure, before, after, targets)
    assert [change.index for change in found.examples] == [2, 0]
    assert [change.sqnr_db for change in found.examples] == pytest.approx([20.0, 40.0])
    assert (found.samples, found.lost, found.won, found.unvalued) == (3, 0, 0, 3)
    assert {change.loss for change in found.examples} == {None}


def test_a_known_loss_is_before_an_unknown_one() -> None:
    def score(outputs: Any, targets: Any) -> float:
        return float(abs(outputs).mean()) if targets.all() else float("nan")

    score.higher_is_better = False  # type: ignore[attr-defined]
    before, after = np.ones((2, 1)), np.array([[9.0], [1.5]])
    found = _added(own_measure(score, "mine"), before, after, np.array([0, 1]))
    assert [(change.index, change.loss) for change in found.examples] == [(1, 0.5), (0, None)]


def test_outputs_that_are_no_numbers_agree_least() -> None:
    found = _added(MAE, np.ones((2, 1)), np.array([[0.0], [np.nan]]), None)
    assert [(change.index, change.sqnr_db) for change in found.examples] == [(1, -200.0), (0, 0.0)]


def test_answers_are_what_the_metric_was_given() -> None:
    before, after = np.eye(2), np.eye(2)[::-1].copy()
    found = Changes(kept=2).add(
        named_measure("wer"), _batch(2), _answered(before, ["a b", "c"]), _answered(after, ["a b", "d"]), ["a b", "c"]
    )
    (change,) = found.examples
    assert (change.index, change.before.content, change.after.content) == (1, "c", "d")
    assert (change.loss, change.target and change.target.content) == (100.0, "c")


def test_answers_that_no_sample_has_to_itself_are_not_looked_at() -> None:
    given = np.zeros((7, 6))  # boxes of the whole batch
    found = Changes(kept=2).add(MAE, _batch(2), _answered(np.eye(2), given), _answered(np.eye(2), given), None)
    assert (found.seen, found.samples, found.examples) == (2, 0, ())
    found = found.add(MAE, _batch(2), _answered(np.eye(2)), _answered(-np.eye(2)), None)
    assert (found.seen, found.samples) == (4, 2)
    assert sorted(change.index for change in found.examples) == [2, 3]


def test_masks_are_read_along_their_classes() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 4, 8, 8))
    targets = scores.argmax(1)
    found = _added(named_measure("miou"), scores, -scores, targets)
    for change in found.examples:
        assert (change.before.kind, change.after.kind) == ("mask", "mask")
        assert np.array_equal(change.before.content, targets[change.index])
    assert len(found.examples) == 3


def test_no_more_than_the_first_samples_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_SAMPLES", 5)
    found = _added(MAE, np.zeros((9, 1)), np.arange(9.0)[:, None], np.zeros((9, 1)))
    assert (found.samples, found.lost) == (5, 4)
    assert max(change.index for change in found.examples) == 4


def test_pictures_are_those_of_the_samples() -> None:
    pixels = np.random.default_rng(0).random((2, 3, 16, 24), np.float32)
    batch = Batch(inputs={"x": pixels})
    found = Changes(kept=1).add(MAE, batch, _answered(np.zeros((2, 1))), _answered(np.ones((2, 1))), np.zeros((2, 1)))
    (change,) = found.examples
    assert str(change.picture).startswith("data:image/png;")
    assert change.size == (24, 16)
