"""Flips are counted as a brute-force count of argmaxes counts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.validation.flips import Flips

SCORES = hnp.arrays(np.float32, (12, 4), elements=st.integers(-8, 8).map(float))


def _batch(start: int, stop: int, labels: Array | None) -> Batch:
    own = None if labels is None else labels[start:stop]
    return Batch(inputs={"x": np.zeros((stop - start, 5), np.float32)}, labels=own)


@given(before=SCORES, after=SCORES, labels=hnp.arrays(np.int64, 12, elements=st.integers(0, 3)))
def test_counts_are_those_of_the_definition(before: Array, after: Array, labels: Array) -> None:
    flips = Flips(kept=12)
    for start, stop in ((0, 5), (5, 12)):
        flips = flips.add(before[start:stop], after[start:stop], _batch(start, stop, labels))
    old, new = before.argmax(1), after.argmax(1)
    changed = [row for row in range(12) if old[row] != new[row]]
    assert flips.samples == 12
    assert flips.lost == sum(old[row] == labels[row] for row in changed)
    assert flips.won == sum(new[row] == labels[row] for row in changed)
    assert flips.count == len(changed) == sum(flips.pairs.values())
    assert {(example.index, example.before, example.after, example.label) for example in flips.examples} == {
        (row, old[row], new[row], labels[row]) for row in changed
    }


def test_what_was_right_and_sure_comes_first_and_few_are_kept() -> None:
    before = np.array([[2, 0], [5, 0], [9, 0], [1, 0]], np.float32)
    labels = np.array([0, 0, 1, 0])
    flips = Flips(kept=3).add(before, -before, _batch(0, 4, labels))
    assert [example.index for example in flips.examples] == [1, 0, 3]
    chance = 1 / (1 + np.exp(-5.0))
    assert flips.examples[0].certainty == pytest.approx(chance - (1 - chance))
    assert (flips.lost, flips.won, flips.other) == (3, 1, 0)


def test_without_labels_none_is_won_or_lost() -> None:
    before = np.array([[2, 0], [5, 0]], np.float32)
    flips = Flips(kept=0).add(before, -before, _batch(0, 2, None))
    assert (flips.lost, flips.won, flips.other, flips.examples) == (0, 0, 2, ())


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 3, 5)])
def test_outputs_without_a_class_for_each_sample_do_not_count(shape: tuple[int, ...]) -> None:
    scores = np.zeros(shape, np.float32)
    assert Flips(kept=2).add(scores, scores + 1, _batch(0, 4, None)).samples == 0


def test_images_get_a_thumbnail() -> None:
    batch = Batch(inputs={"x": np.random.default_rng(0).random((2, 3, 16, 16), np.float32)})
    scores = np.array([[1, 0], [1, 0]], np.float32)
    flips = Flips(kept=1).add(scores, scores[:, ::-1], batch)
    assert flips.count == 2
    assert [str(example.picture)[:15] for example in flips.examples] == ["data:image/png;"]
