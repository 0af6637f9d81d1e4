"""Samples that changed, from what a pass over the data kept of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgecompress.comparison.changed_answers import changed_answers
from edgecompress.data.batches import Batch
from edgecompress.metrics.agreement import Agreement
from edgecompress.metrics.metric import named_measure
from edgecompress.validation.changes import Answered, Changes
from edgecompress.validation.flips import Flips
from edgecompress.validation.scores import Scores

BEFORE = np.eye(4, dtype=np.float32)
AFTER = BEFORE[[1, 1, 2, 0]]
LABELS = np.array([0, 1, 2, 0])
EMPTY = Scores(agreements=(Agreement(),), values=(None,), labels=None, flips=Flips(kept=5), samples=4, digest="")


def _of_classes(kept: int = 5) -> Scores:
    batch = Batch(inputs={"x": np.zeros((4, 1), np.float32)}, labels=LABELS)
    return replace(EMPTY, flips=Flips(kept=kept).add(BEFORE, AFTER, batch))


def test_classes_are_counted_and_listed_with_their_names() -> None:
    found = changed_answers(_of_classes(), ["a.png", "b.png", "c.png", "d.png"], ["cat", "dog"])
    assert (found.samples, found.changed, found.lost, found.won, found.other) == (4, 2, 1, 1, 0)
    listed = [(each.index, each.sample, each.label, each.old, each.new) for each in found.listed]
    assert listed == [(0, "a.png", 0, 0, 1), (3, "d.png", 0, 3, 0)]
    assert [found.called(index) for index in (0, 1, 3, None)] == ["cat", "dog", "3", "-"]
    assert found.entry["listed"][0]["sample"] == "a.png"


def test_all_are_counted_where_few_are_listed_and_names_may_be_missing() -> None:
    found = changed_answers(_of_classes(kept=1), ["a.png"][:0])
    assert (found.changed, len(found.listed)) == (2, 1)
    assert found.listed[0].sample is None


def test_other_answers_have_the_values_of_the_metric() -> None:
    targets = np.array([[1.0], [2.0]], np.float32)
    outputs = [[targets + offset] for offset in (np.array([[0.5], [0.5]]), np.array([[2.0], [0.25]]))]
    before, after = (Answered(outputs=own, given=own[0]) for own in outputs)
    batch = Batch(inputs={"x": np.zeros((2, 1), np.float32)}, labels=targets)
    changes = Changes(kept=5).add(named_measure("mae"), batch, before, after, targets)
    found = changed_answers(replace(EMPTY, changes=changes), ["a", "b"], ["cat"])
    assert not found.of_classes
    assert found.changed is None
    assert (found.samples, found.lost, found.won, found.classes) == (2, 1, 1, ())
    (listed,) = found.listed
    assert (listed.sample, listed.old, listed.new, listed.certainty) == ("a", 0.5, 2.0, None)
