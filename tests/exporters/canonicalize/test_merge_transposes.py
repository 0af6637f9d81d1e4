"""Transposes in three steps, and pairs of them, become one; nothing else moves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgecompress.exporters.canonicalize.merge_transposes import merge_transposes
from tests.exporters.canonicalize.sequences import (
    HEADS,
    LENGTH,
    WIDTH,
    assert_unchanged,
    integers,
    operators,
    outputs,
    sequence,
)
from tests.exporters.graphs import draw

X = draw(2, LENGTH, WIDTH)
SPLIT = integers(0, LENGTH, HEADS, WIDTH // HEADS)


def test_keys_that_are_flattened_and_transposed_take_one_transpose() -> None:
    body = """h = Reshape(x, split) t = Transpose<perm=[0,2,1,3]>(h) f = Reshape(t, flat)
              s = Transpose<perm=[0,2,1]>(f) y = Reshape(s, back)"""
    shapes = {"flat": integers(-1, LENGTH, 4), "back": integers(-1, HEADS, 4, LENGTH)}
    model = sequence(body, split=SPLIT, **shapes)
    result = merge_transposes(model)
    assert operators(result.model) == ["Reshape", "Transpose"]
    assert len(result.changes) == 2
    np.testing.assert_array_equal(outputs(result.model, X), outputs(model, X))
    np.testing.assert_array_equal(outputs(result.model, X), X.reshape(2, LENGTH, HEADS, 4).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "back", [integers(-1, 4, LENGTH, HEADS), integers(-1, 4, HEADS, LENGTH), integers(-1, 2, 6, LENGTH)]
)
def test_a_reshape_that_cuts_elsewhere_stays(back: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    body = "h = Reshape(x, split) f = Reshape(h, flat) s = Transpose<perm=[0,2,1]>(f) y = Reshape(s, back)"
    model = sequence(body, split=SPLIT, flat=integers(-1, HEADS, 4), back=back)
    assert_unchanged(model, merge_transposes(model))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(itertools.permutations(range(3)), repeat=2)))
def test_two_transposes_are_one(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    model = sequence(f"t = Transpose<perm={list(first)}>(x) y = Transpose<perm={list(second)}>(t)")
    result = merge_transposes(model)
    assert operators(result.model) == ["Transpose"]
    np.testing.assert_array_equal(outputs(result.model, X), X.transpose(first).transpose(second))
