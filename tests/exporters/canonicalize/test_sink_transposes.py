"""Operators between Transposes work on what stands before them, and compute the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.canonicalize.sink_transposes import sink_transposes
from edgecompress.runtime import execute
from tests.exporters.canonicalize.sequences import assert_unchanged, integers, operators
from tests.exporters.graphs import Array, draw, graph, run
from tests.foreign import foreign

X = draw(2, 4, 8, 8)
LAST, FIRST = "Transpose<perm=[0,2,3,1]>", "Transpose<perm=[0,3,1,2]>"
CONSTANTS: Mapping[str, Array] = {
    "channels": draw(4, seed=1),
    "places": draw(8, 8, 4, seed=2),
    "number": draw(1, seed=3),
    "whole": draw(1, 8, 8, 2, seed=4),
}


def _both(body: str) -> tuple[ir.Model, ir.Model]:
    """A model before and after; its answers stay."""
    model = graph(body, **{name: array for name, array in CONSTANTS.items() if name in body}, axes=integers(1, -2))
    moved = sink_transposes(model).model
    np.testing.assert_allclose(run(moved, X), run(model, X), rtol=1e-5, atol=1e-6)
    return model, moved


@pytest.mark.parametrize(
    "expression",
    [
        *("Relu(t)", "Clip(t)", "LeakyRelu<alpha=0.3>(t)", "Sigmoid(t)", "Elu(t)", "HardSwish(t)"),
        *("Add(t, channels)", "Mul(channels, t)", "Sub(places, t)", "Div(t, number)", "PRelu(t, channels)"),
        *("Max(t, channels, places)", "Softmax<axis=3>(t)", "Softmax<axis=-3>(t)", "Concat<axis=1>(t, t)"),
        *("Concat<axis=-1>(t, t)", "ReduceMean(t, axes)"),
    ],
)
def test_what_stands_between_transposes_needs_none(expression: str) -> None:
    _, moved = _both(f"t = {LAST}(x) r = {expression} y = {FIRST}(r)")
    assert operators(moved) == [expression.partition("(")[0].partition("<")[0]]


def test_a_whole_constant_joins_along_the_axis_of_the_channels() -> None:
    model = graph(f"t = {LAST}(x) r = Concat<axis=3>(t, whole) y = {FIRST}(r)", whole=CONSTANTS["whole"])
    moved = sink_transposes(model).model
    assert operators(moved) == ["Concat"]
    row = X[:1]
    wanted = np.concatenate([row, CONSTANTS["whole"].transpose(0, 3, 1, 2)], axis=1)
    np.testing.assert_array_equal(run(moved, row), wanted)


def test_a_mean_over_the_places_takes_the_transpose_up() -> None:
    _, moved = _both(f"t = {LAST}(x) r = ReduceMean<keepdims=0>(t, axes) y = Flatten(r)")
    assert operators(moved) == ["ReduceMean", "Flatten"]


def test_a_swish_and_a_residual_sum_move_whole() -> None:
    body = f"""t = {LAST}(x) g = Sigmoid(t) s = Mul(t, g) a = Add(s, channels) b = Add(a, t)
               y = {FIRST}(b)"""
    _, moved = _both(body)
    assert operators(moved) == ["Sigmoid", "Mul", "Add", "Add"]


@pytest.mark.parametrize(
    "body",
    [
        "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) y = Transpose<perm=[0,2,3,1]>(r)",  # from channels-last
        f"t = {LAST}(x) r = Relu(t) f = Flatten(t) g = Flatten(r) y = Concat<axis=1>(f, g)",  # it would take two
        f"t = {LAST}(x) y = Mul(t, x)",  # the other operand has its axes as they are
        f"t = {LAST}(x) y = CumSum(t, one)",  # it does not work element by element
        f"t = {LAST}(x) y = ReduceSum<keepdims=0>(t, one)",  # its output would have other axes
    ],
)
def test_others_stay(body: str) -> None:
    model = graph(body, one=np.array(1)) if "one" in body else graph(body)
    assert_unchanged(model, sink_transposes(model))


@given(st.integers(0, 2**16), st.integers(13, 22))
def test_networks_with_channels_last_answer_as_before_with_no_more_transposes(seed: int, opset: int) -> None:
    file = foreign("keras", opset, seed)
    model = ir.from_proto(file.model)
    passes.NameFixPass()(model)
    moved = sink_transposes(model).model
    for actual, wanted in zip(*(execute(each, file.batches[0]) for each in (moved, model)), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)
    assert operators(moved).count("Transpose") <= operators(model).count("Transpose")
