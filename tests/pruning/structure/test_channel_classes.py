"""Labels fall into classes, and classes only ever grow together."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.pruning.structure.channel_classes import UNLABELLED, Classes


def test_labels_are_positive_and_new() -> None:
    classes = Classes()
    assert classes.fresh(2).tolist() == [1, 2]
    assert classes.fresh(3).tolist() == [3, 4, 5]
    assert len(classes) == 6


def test_the_least_label_stands_for_a_class() -> None:
    classes = Classes()
    labels = classes.fresh(5)
    classes.unify(labels[3:], labels[1:3])
    classes.unify(labels[4:], labels[:1])
    assert classes.find(labels).tolist() == [1, 2, 1, 2, 1]
    assert classes.find(labels.view(5, 1)).shape == (5, 1)


def test_the_unlabelled_joins_nothing() -> None:
    classes = Classes()
    labels = classes.fresh(2)
    classes.unify(labels, torch.tensor([UNLABELLED, UNLABELLED]))
    assert classes.find(labels).tolist() == [1, 2]


def test_the_first_reason_stands_and_covers_the_class() -> None:
    classes = Classes()
    labels = classes.fresh(3)
    classes.freeze(labels[2:], "first")
    classes.freeze(labels, "second")
    classes.freeze(torch.tensor([UNLABELLED]), "never")
    assert classes.frozen() == {1: "second", 2: "second", 3: "first"}
    classes.unify(labels[:1], labels[2:])
    assert classes.frozen() == {1: "first", 2: "second"}


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), max_size=20))
def test_classes_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    classes = Classes()
    labels = classes.fresh(12)
    parts = [{label} for label in labels.tolist()]
    for left, right in pairs:
        classes.unify(torch.tensor([left]), torch.tensor([right]))
        joined = set().union(*(part for part in parts if part & {left, right}))
        parts = [part for part in parts if not part & joined] + [joined]
    expected = {label: min(part) for part in parts for label in part}
    assert classes.find(labels).tolist() == [expected[label] for label in labels.tolist()]
