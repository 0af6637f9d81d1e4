"""Words about graphs: names stay unique, readers read the right value, and what callers see keeps its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.graph import axes_of, bypass, initializer, node, reduced, substitute, take_over
from edgecompress.runtime import execute
from tests.exporters.graphs import draw, graph

INPUT = {"x": draw(4, 4, 8, 8)}
RELUS = "a = Relu(x) b = Neg(a) y = Abs(b)"


def _node(model: ir.Model, op_type: str) -> ir.Node:
    (found,) = [node for node in model.graph if node.op_type == op_type]
    return found


@given(st.lists(st.integers(0, 2), max_size=8))
def test_a_constant_is_stored_once_and_another_of_its_name_gets_a_free_one(values: list[int]) -> None:
    model = graph("y = Relu(x)")
    made = [initializer(model.graph, "x", np.array(value)) for value in values]
    names = {value: made[values.index(value)].name for value in values}
    assert [value.name for value in made] == [names[value] for value in values]
    assert len({*names.values()}) == len(names)
    assert not {"x", "y"} & {*names.values()}  # these are of the model's input and output


def _bypassed(model: ir.Model) -> None:
    negation = _node(model, "Neg")
    assert negation.inputs[0] is not None
    assert bypass(model.graph, negation, negation.inputs[0])


def _substituted(model: ir.Model) -> None:
    negation = _node(model, "Neg")
    first = node("Sqrt", [negation.inputs[0]], "root", "root")
    substitute(model.graph, negation, [first, node("Exp", [first.outputs[0]], "power", "power")])


def _taken_over(model: ir.Model) -> None:
    take_over(model.graph, _node(model, "Neg").outputs[0], _node(model, "Abs"))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (_bypassed, lambda x: np.abs(np.maximum(x, 0))),
        (_substituted, lambda x: np.abs(np.exp(np.sqrt(np.maximum(x, 0))))),
        (_taken_over, lambda x: -np.maximum(x, 0)),
    ],
)
def test_readers_read_what_took_the_place(
    change: Callable[[ir.Model], None], wanted: Callable[[np.ndarray], np.ndarray]
) -> None:
    model = graph(RELUS)
    change(model)
    assert [value.name for value in model.graph.outputs] == ["y"]
    np.testing.assert_allclose(execute(model, INPUT)[0], wanted(INPUT["x"]), rtol=1e-5, atol=1e-6)


def test_what_callers_see_is_not_bypassed() -> None:
    model = graph(RELUS)
    last = _node(model, "Abs")
    assert last.inputs[0] is not None
    assert not bypass(model.graph, last, last.inputs[0])
    np.testing.assert_allclose(execute(model, INPUT)[0], np.maximum(INPUT["x"], 0), rtol=1e-6)


@pytest.mark.parametrize("op_type", ["ReduceMean", "ReduceMax"])
def test_a_layer_is_reduced_to_its_channels(op_type: str) -> None:
    model = graph(RELUS)
    made = reduced(model.graph, op_type, _node(model, "Neg"), 4, "small")
    model.graph.outputs.append(made)
    by = np.mean if op_type == "ReduceMean" else np.max
    found = execute(model, INPUT)[1]
    np.testing.assert_allclose(found, by(-np.maximum(INPUT["x"], 0), axis=(0, 2, 3)), rtol=1e-5, atol=1e-6)
    reducing = made.producer()
    assert reducing is not None
    assert axes_of(reducing) == [0, 2, 3]
