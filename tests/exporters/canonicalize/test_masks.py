"""Zeros that are added and guards that have nothing to do are dropped; a real mask keeps its guard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecompress.exporters.canonicalize.masks import drop_masks
from tests.exporters.canonicalize.sequences import (
    LENGTH,
    WIDTH,
    assert_unchanged,
    integers,
    operators,
    outputs,
    sequence,
)
from tests.exporters.graphs import Array, draw

X, K = draw(2, LENGTH, WIDTH), draw(WIDTH, LENGTH, seed=1)
ZERO, HIDDEN = np.array(0, np.float32), np.array(-np.inf, np.float32)
SCORES, GUARD = "m = MatMul(x, k)", "n = IsNaN(p) y = Where(n, zero, p) z = Neg(y)"


def _softmax(scores: Array) -> Array:
    powers: Array = np.exp(scores - scores.max(-1, keepdims=True))
    normed: Array = powers / powers.sum(-1, keepdims=True)
    return normed


def _check(body: str, wanted: list[str], expected: Array, **constants: NDArray[Any]) -> None:
    model = sequence(body, k=K, **constants)
    model.graph.outputs[0] = model.graph[-1].outputs[0]
    result = drop_masks(model)
    assert operators(result.model) == wanted
    np.testing.assert_allclose(outputs(result.model, X), expected, rtol=1e-4, atol=1e-5)


def test_a_mask_that_hides_nothing_and_its_guard_are_dropped() -> None:
    body = f"{SCORES} e = Expand(all, s) c = Where(e, zero, hidden) a = Add(m, c) p = Softmax<axis=-1>(a) {GUARD}"
    constants = {"all": np.ones((1, LENGTH, 1), bool), "s": integers(1, LENGTH, LENGTH), "zero": ZERO, "hidden": HIDDEN}
    _check(body, ["MatMul", "Softmax", "Neg"], -_softmax(X @ K), **constants)


def test_a_causal_mask_stays_but_needs_no_guard() -> None:
    causal = np.triu(np.full((LENGTH, LENGTH), -np.inf, np.float32), 1)
    body = f"{SCORES} a = Add(m, causal) p = Softmax<axis=-1>(a) {GUARD}"
    _check(body, ["MatMul", "Add", "Softmax", "Neg"], -_softmax(X @ K + causal), causal=causal, zero=ZERO)


def test_a_scaled_product_needs_no_guard() -> None:
    body = f"{SCORES} a = Div(m, c) p = Softmax<axis=-1>(a) {GUARD}"
    _check(
        body,
        ["MatMul", "Div", "Softmax", "Neg"],
        -_softmax(X @ K / np.float32(3)),
        c=np.array(3, np.float32),
        zero=ZERO,
    )


@pytest.mark.parametrize("hides", ["row", "computed", "unknown"])
def test_a_mask_that_may_hide_a_whole_row_keeps_its_guard(hides: str) -> None:
    mask = np.zeros((LENGTH, LENGTH), np.float32)
    mask[2] = -np.inf
    body = {
        "row": f"{SCORES} a = Add(m, mask) p = Softmax<axis=-1>(a) {GUARD}",
        "computed": f"{SCORES} l = Greater(m, zero) c = Where(l, zero, mask) a = Add(m, c) p = Softmax(a) {GUARD}",
        "unknown": f"{SCORES} l = Log(m) p = Softmax<axis=-1>(l) {GUARD}",
    }[hides]
    model = sequence(body, k=K, zero=ZERO, **({"mask": mask} if "mask" in body else {}))
    model.graph.outputs[0] = model.graph[-1].outputs[0]
    assert_unchanged(model, drop_masks(model))


def test_an_addition_that_widens_the_shape_stays() -> None:
    zeros = np.zeros((4, 1, LENGTH, WIDTH), np.float32)
    model = sequence("a = Add(x, zeros) y = Neg(a)", zeros=zeros)
    assert_unchanged(model, drop_masks(model))


def test_an_addition_of_something_stays() -> None:
    model = sequence("a = Add(x, ones) y = Neg(a)", ones=np.ones(WIDTH, np.float32))
    assert_unchanged(model, drop_masks(model))
