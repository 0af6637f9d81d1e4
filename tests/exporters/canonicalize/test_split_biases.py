"""Biases behind a Split become one before it."""

from __future__ import annotations

import numpy as np
import pytest

from edgecompress.exporters.canonicalize.split_biases import hoist_biases
from tests.exporters.canonicalize.sequences import (
    LENGTH,
    WIDTH,
    assert_unchanged,
    integers,
    operators,
    outputs,
    sequence,
)
from tests.exporters.graphs import draw

X, W = draw(2, LENGTH, WIDTH), draw(WIDTH, WIDTH, seed=1)
A, B = draw(3, seed=2), draw(5, seed=3)
SIZES, ENDS = integers(3, 5, 4), integers(0, 3, 8, 12)
HEAD = "h = MatMul(x, w) p, q, r = Split<axis=-1>(h, n)"


def test_biases_are_joined_and_a_part_without_one_gets_zeros() -> None:
    model = sequence(f"{HEAD} s = Add(p, a) t = Add(b, q) y = Concat<axis=-1>(t, s, r)", w=W, n=SIZES, a=A, b=B)
    result = hoist_biases(model)
    assert operators(result.model) == ["MatMul", "Add", "Split", "Concat"]
    assert len(result.changes) == 1
    np.testing.assert_array_equal(outputs(result.model, X), outputs(model, X))


@pytest.mark.parametrize(
    "tail",
    [
        "s = Add(p, a) y = Concat<axis=-1>(s, q, r)",  # one bias alone gains nothing
        "s = Add(p, a) t = Add(q, b) y = Concat<axis=-1>(s, t, r, h)",  # somebody else reads the product
        "s = Add(p, a) t = Add(q, b) y = Concat<axis=-1>(s, t, p)",  # somebody else reads a part
        "s = Add(p, o) t = Add(q, o) y = Concat<axis=-1>(s, t, r)",  # a number for all columns is no vector for each
    ],
)
def test_others_stay(tail: str) -> None:
    constants = {"a": A, "b": B, "o": np.ones(1, np.float32)}
    used = {name: constant for name, constant in constants.items() if f", {name})" in tail}
    model = sequence(f"{HEAD} {tail}", w=W, n=SIZES, **used)
    assert_unchanged(model, hoist_biases(model))
