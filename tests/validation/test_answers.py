"""An answer is called by what it is, and cut to what can be shown."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgecompress.metrics.outputs import Outputs
from edgecompress.validation.answers import MOST_BOXES, MOST_LETTERS, MOST_NUMBERS, MOST_TARGETS, read_answer

BOX = {"boxes": np.array([[0, 0, 2, 1.0], [1, 1, 2, 2]]), "labels": np.array([7, 3]), "scores": np.array([0.25, 0.5])}
MASK = np.arange(80).reshape(8, 10) % 3


@pytest.mark.parametrize(
    ("given", "of_classes", "kind", "content"),
    [
        (np.array([0.1, 0.7, 0.2]), True, "class", 1),
        (np.eye(3)[MASK].transpose(2, 0, 1), True, "mask", MASK),
        ((np.array([0.1, 0.7]), np.zeros(3)), True, "class", 1),  # the first output has the scores
        (np.array([[0.9, 0.2], [0.1, 0.8]]), True, "numbers", [0, 1]),  # a class for each of two places
        (np.int64(4), False, "class", 4),
        (3, False, "class", 3),
        (True, False, "class", 1),
        (MASK, False, "mask", MASK),
        (MASK[None] > 0, False, "mask", MASK > 0),
        (torch.from_numpy(MASK), False, "mask", MASK),
        (MASK[:7], False, "numbers", MASK[:7]),
        ("a cat", False, "text", "a cat"),
        (np.array(["a cat"])[0], False, "text", "a cat"),
        (["a", "cat"], False, "text", "a cat"),
        ([3, 1, 4], False, "text", "3 1 4"),
        ([], False, "text", ""),
        ([0.5, 1.5], False, "numbers", [0.5, 1.5]),
        (np.array([[0.5], [1.5]], np.float32), False, "numbers", [[0.5], [1.5]]),
        (Outputs([np.array([0.5]), np.array([2.5])], ["a", "b"]), False, "numbers", [0.5]),
        (0.5, False, "numbers", 0.5),
        ({"names": ["a"], "count": 1}, False, "text", "a dict of names, count"),
        ({"boxes": [[1, 2]], "labels": [1]}, False, "text", "a dict of boxes, labels"),  # no corners
        (None, False, "text", "None"),
        (object(), False, "text", "an object"),
    ],
)
def test_an_answer_is_what_it_looks_like(given: Any, of_classes: bool, kind: str, content: Any) -> None:
    answer = read_answer(given, of_classes=of_classes)
    assert answer.kind == kind
    np.testing.assert_array_equal(answer.content, content)
    json.dumps(answer.entry, allow_nan=False)


def test_boxes_with_the_highest_scores_are_first() -> None:
    entry = read_answer(BOX).entry
    assert entry == {
        "kind": "boxes",
        "count": 2,
        "boxes": [
            {"corners": [1, 1, 2, 2], "label": 3, "score": 0.5},
            {"corners": [0, 0, 2, 1], "label": 7, "score": 0.25},
        ],
    }
    bare = read_answer({key: torch.as_tensor(BOX[key]) for key in ("boxes", "labels")}).entry
    assert [box["score"] for box in bare["boxes"]] == [None, None]
    assert [box["label"] for box in bare["boxes"]] == [7, 3]


def test_what_is_long_is_cut() -> None:
    many = {"boxes": np.zeros((99, 4)), "labels": np.zeros(99), "scores": np.arange(99) / 99}
    entry = read_answer(many).entry
    assert (entry["count"], len(entry["boxes"]), entry["boxes"][0]["score"]) == (99, MOST_BOXES, 98 / 99)
    there = read_answer({"boxes": many["boxes"], "labels": many["labels"]}).entry
    assert (there["count"], len(there["boxes"])) == (99, MOST_TARGETS)
    assert read_answer("a" * MOST_LETTERS).entry["text"] == "a" * MOST_LETTERS
    assert read_answer("a" * (MOST_LETTERS + 1)).entry["text"] == "a" * MOST_LETTERS + "…"
    assert read_answer(np.arange(99) / 2).entry == {
        "kind": "numbers",
        "numbers": [place / 2 for place in range(MOST_NUMBERS)],
        "shape": [99],
    }


def test_what_is_no_number_is_none() -> None:
    assert read_answer(np.array([np.nan, np.inf, 1.0])).entry["numbers"] == [None, None, 1.0]


arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]), hnp.array_shapes(min_dims=0, min_side=0)
)
anything = st.recursive(
    st.none() | st.integers(-5, 5) | st.floats() | st.text() | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["boxes", "labels", "x"]), inner),
    max_leaves=4,
)


@given(anything)
def test_whatever_it_is_it_can_be_written(value: Any) -> None:
    json.dumps(read_answer(value).entry, allow_nan=False)
