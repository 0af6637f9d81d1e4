"""Answers that changed are plain data in the report, and shown side by side in the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgecompress.report.answers import answers_entry
from edgecompress.validation.answers import read_answer
from edgecompress.validation.changes import Change, Changes

MASK = np.arange(64).reshape(8, 8) % 3


def _change(before: object, after: object, target: object) -> Change:
    return Change(
        index=4,
        value_before=50.0,
        value_after=25.0,
        loss=25.0,
        sqnr_db=12.5,
        before=read_answer(before),
        after=read_answer(after),
        target=None if target is None else read_answer(target),
    )


def test_masks_are_drawn_with_their_difference() -> None:
    other = MASK.copy()
    other[0, :2] = 7
    entry = answers_entry(Changes(kept=1, samples=9, lost=2, won=1, examples=(_change(MASK, other, MASK),)))
    assert {key: entry[key] for key in ("samples", "lost", "won", "unvalued")} == {
        "samples": 9,
        "lost": 2,
        "won": 1,
        "unvalued": 0,
    }
    (example,) = entry["examples"]
    assert (example["index"], example["loss"], example["difference"]["share"]) == (4, 25.0, 2 / 64)
    assert example["before"]["mask"] == example["target"]["mask"] != example["after"]["mask"]
    json.dumps(entry, allow_nan=False)


@pytest.mark.parametrize(("before", "after"), [("a", "b"), (MASK, MASK[:, :-1]), (MASK, "b")])
def test_what_are_no_two_masks_of_one_shape_has_no_difference(before: object, after: object) -> None:
    (example,) = answers_entry(Changes(kept=1, examples=(_change(before, after, None),)))["examples"]
    assert example["difference"] is None
    assert example["target"] is None
