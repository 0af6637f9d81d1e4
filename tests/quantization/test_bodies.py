"""Bodies of control flow: each computes by itself what it computes in its place, and goes back there."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.exporters.graph import initializer
from edgecompress.quantization.bodies import Body, bodies_of, declared, put_back
from edgecompress.runtime import execute, to_bytes
from tests.foreign.branches import drawn
from tests.quantization.flows import DATA, V, W, branching, chain, flow, looping

BRANCHES = branching(chain("x", "t"), chain("x", "e", "2"))
INNER = branching(chain("h", "t"), "e = Relu(h)", "q = ReduceSum<keepdims=0>(h) c = Greater(q, zero)")


def _bodies(model: ir.Model) -> dict[str, Body]:
    return {body.name: body for body in bodies_of(model)}


def _restored(model: ir.Model) -> ir.Model:
    """The model with each body taken out and put back as it is."""
    copied = model.clone()
    for body in bodies_of(model):
        put_back(copied, body, body.model)
    return copied


def test_a_branch_computes_by_itself_what_it_does_in_its_place() -> None:
    bodies = _bodies(flow(BRANCHES))
    assert list(bodies) == ["y/then_branch", "y/else_branch"]
    body = bodies["y/then_branch"]
    assert (body.given, body.captured) == (0, ("x",))
    wanted = np.tanh(DATA[0].astype(np.float64) @ W) @ V
    np.testing.assert_allclose(execute(body.model, {"x": DATA[0]})[0], wanted, rtol=1e-4, atol=1e-5)


def test_the_body_of_a_loop_takes_what_the_loop_hands_it_and_then_what_is_around() -> None:
    (body,) = bodies_of(flow(looping("m = MatMul(h, w) n = Add(m, x)")))
    assert [value.name for value in body.model.graph.inputs] == ["i", "go", "h", "x"]
    assert (body.given, body.captured) == (3, ("x",))
    assert list(body.model.graph.initializers) == ["w"]


def test_a_body_inside_of_a_body_is_of_that_body() -> None:
    (outer,) = bodies_of(flow(looping(INNER.replace("y =", "n ="))))
    assert [body.name for body in bodies_of(outer.model)] == ["n/then_branch", "n/else_branch"]
    assert [body.captured for body in bodies_of(outer.model)] == [("h",), ("h",)]


@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_put_back_as_it_was_computes_the_same(seed: int) -> None:
    model = ir.from_proto(drawn(np.random.default_rng(seed), 17).model)
    for number, node in enumerate(ir.traversal.RecursiveGraphIterator(model.graph)):
        node.name = node.name or f"node_{number}"
    restored = _restored(model)
    onnx.checker.check_model(to_bytes(restored), full_check=True)
    x = {"x": np.random.default_rng(seed).standard_normal((3, 6)).astype(np.float32)}
    for before, after in zip(execute(model, x), execute(restored, x), strict=True):
        np.testing.assert_array_equal(after, before)
    assert set(restored.graph.initializers) == set(model.graph.initializers), "no constant is stored twice"


def test_a_body_inside_of_a_body_goes_back_with_it() -> None:
    model = flow(looping(INNER.replace("y =", "n =")))
    x = {"x": DATA[0]}
    np.testing.assert_array_equal(execute(_restored(model), x)[0], execute(model, x)[0])


def test_what_both_branches_add_under_one_name_stays_apart() -> None:
    model = flow(BRANCHES)
    copied = model.clone()
    for number, body in enumerate(bodies_of(model), 1):
        made = body.model.clone()
        factor = initializer(made.graph, "new", np.array(number, np.float32))
        output = made.graph.outputs[0]
        scaled = ir.node("Mul", [output, factor], name="scaled")
        scaled.outputs[0].name, scaled.outputs[0].type = "scaled", output.type
        made.graph.append(scaled)
        made.graph.outputs[0] = scaled.outputs[0]
        put_back(copied, body, made)
    onnx.checker.check_model(to_bytes(copied), full_check=True)
    for x in DATA:
        before, after = (execute(each, {"x": x})[0] for each in (model, copied))
        np.testing.assert_allclose(after, before * (1 if x.sum() > 0 else 2), rtol=1e-6)


def test_weights_that_only_a_body_read_are_gone_with_what_read_them() -> None:
    model = flow(branching("t = MatMul(x, w)", "e = Relu(x)"))
    then = _bodies(model)["y/then_branch"]
    made = flow("y = Tanh(x)")
    made.graph.outputs[0].name = "t"
    copied = model.clone()
    put_back(copied, then, made)
    assert not copied.graph.initializers["w"].uses()
    positive = np.abs(DATA[0])
    np.testing.assert_allclose(execute(copied, {"x": positive})[0], np.tanh(positive), rtol=1e-5)


def test_what_stands_around_a_body_may_have_been_rewritten() -> None:
    model = flow("r = Relu(x)" + branching("t = MatMul(r, w)", "e = Neg(r)"))
    copied = model.clone()
    relu = copied.graph[0]
    twin = ir.node("Abs", relu.inputs, name="twin")
    twin.outputs[0].name = "twin"
    copied.graph.insert_after(relu, twin)
    relu.outputs[0].replace_all_uses_with(twin.outputs[0])
    for body in bodies_of(model):
        put_back(copied, body, body.model)
    positive = np.abs(DATA[0])
    np.testing.assert_allclose(execute(copied, {"x": positive})[0], positive @ W, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(execute(copied, {"x": -positive})[0], -positive, rtol=1e-6)


def test_what_a_loop_has_made_has_the_type_that_it_turns_out_to_have() -> None:
    model = flow(looping("n = Tanh(h)").replace("y =", "z =") + branching("t = MatMul(z, w)", "e = Neg(z)"))
    body = _bodies(model)["y/then_branch"]
    assert body.model.graph.inputs[0].shape is None
    known = declared(body.model, {"z": DATA[0]})
    for value in (*known.graph.inputs, *known.graph[0].outputs):
        assert (len(value.shape or ()), value.dtype) == (2, ir.DataType.FLOAT)
    np.testing.assert_allclose(execute(known, {"z": DATA[0]})[0], DATA[0] @ W, rtol=1e-4, atol=1e-5)


def test_a_body_that_reads_a_sequence_cannot_run_by_itself() -> None:
    model = flow("p = SplitToSequence(x)" + branching("t = ConcatFromSequence<axis=0>(p)", "e = Neg(x)"))
    faults = {name: body.fault for name, body in _bodies(model).items()}
    assert faults == {"y/then_branch": "'p', which it reads, is no tensor", "y/else_branch": None}
