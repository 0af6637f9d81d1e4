"""Targets in every form: cut along their samples, and refused where a sample has none."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import DataError
from edgecompress.metrics.targets import cut, require_samples, samples_of
from tests.drawn_targets import targets_of_samples

Pair = namedtuple("Pair", ["boxes", "names"])


def _entries(targets: Any, rows: int) -> list[Any]:
    """What each sample has, the slow way."""
    if isinstance(targets, dict):
        parts = {name: _entries(part, rows) for name, part in targets.items()}
        return [{name: part[row] for name, part in parts.items()} for row in range(rows)]
    if isinstance(targets, tuple):
        columns = [_entries(part, rows) for part in targets]
        return [tuple(column[row] for column in columns) for row in range(rows)]
    return [targets[row] for row in range(rows)]


def _same(first: Any, second: Any) -> bool:
    """Whether both are the same objects, or arrays of the same values."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    return first is second or bool(np.array_equal(np.asarray(first), np.asarray(second)))


@given(st.data(), st.integers(1, 5))
def test_cutting_takes_the_entries_of_the_samples(data: st.DataObject, rows: int) -> None:
    targets = data.draw(targets_of_samples(rows))
    require_samples(targets, rows, "batch")
    start, stop = sorted(data.draw(st.tuples(st.integers(0, rows), st.integers(0, rows))))
    chosen = np.array(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=7)))
    entries = _entries(targets, rows)
    for index, places in ((slice(start, stop), range(start, stop)), (chosen, chosen.tolist())):
        taken = cut(targets, index)
        assert type(taken) is type(targets)
        assert samples_of(taken) == len(places)
        require_samples(taken, len(places), "batch")
        assert all(map(_same, _entries(taken, len(places)), [entries[place] for place in places]))


def test_entries_of_a_list_stay_the_objects_that_they_are() -> None:
    boxes = [{"boxes": torch.zeros(2, 4)}, {"boxes": torch.zeros(0, 4)}]
    assert [entry is boxes[place] for entry, place in zip(cut(boxes, np.array([1, 0])), (1, 0), strict=True)] == [
        True
    ] * 2


def test_a_named_tuple_stays_one() -> None:
    assert cut(Pair([1, 2], ["a", "b"]), slice(1, 2)) == Pair([2], ["b"])


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["a", None], "evaluation batch 2: sample 1 has no target; give one for each sample, or none at all"),
        (
            {"boxes": [[], []], "names": [None, "a"]},
            "evaluation batch 2: sample 0 has no target['names']; give one for each sample, or none at all",
        ),
        (["a"], "evaluation batch 2 has 2 samples but 1 target; give each its own"),
        (
            ([[1], [2]], np.zeros((3, 1))),
            "evaluation batch 2 has 2 samples but targets[1] of shape (3, 1); give each its own",
        ),
        (torch.tensor(1.0), "evaluation batch 2 has 2 samples but targets of shape (); give each its own"),
        (
            {"split": "val"},
            "evaluation batch 2: targets['split'] are a str; give a list with an entry for each sample, or an array"
            " whose first dimension is the samples",
        ),
        ({}, "evaluation batch 2: targets are an empty dict; give one for each sample, or none"),
    ],
)
def test_what_has_no_target_for_each_sample_is_refused(targets: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        require_samples(targets, 2, "evaluation batch 2")
    assert str(caught.value) == told
