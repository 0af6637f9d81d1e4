"""Bodies of If, Loop and Scan in a static recipe: quantized as the same graph is that stands in no body."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from edgecompress.calibration import QNNPACK
from edgecompress.data.batches import Batches
from edgecompress.exporters.finish import finish
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.fusion import INTEGER_OPS, optimized_graph
from edgecompress.quantization.kept_float import BODY_BY_BUDGET, BY_RECIPE, BY_TIME, UNSEEN
from edgecompress.quantization.static import quantize_static
from edgecompress.quantization.timed_placement import TimedChoice
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import open_session, run_session, to_bytes
from edgecompress.step import StepResult
from tests.exporters.graphs import Array
from tests.quantization.flows import DATA, WIDTH, V, W, batches_of, branching, chain, drawn_flow, flow, looping

pytestmark = pytest.mark.arithmetic
RECIPE: dict[str, Any] = {"enabled": True, "scheme": "qnnpack", "observer": "min_max"}
BRANCHES = branching(chain("x", "t"), chain("x", "e", "2"))
ALWAYS = "c = Identity(yes)"
STEP = "m = MatMul(h, w) n = Tanh(m)"
NETWORKS = 200 if settings.get_current_profile_name() == "fuzz" else 8
SEEN = np.concatenate(DATA)


def _quantize(model: ir.Model, accept: Any = None, choose: Any = None, **recipe: Any) -> StepResult[ir.Model]:
    asked = Quantization.model_validate(RECIPE | recipe)
    return quantize_static(model, asked, batches_of(), Progress(), accept=accept, choose=choose)


def _run(model: ir.Model | bytes, **options: Any) -> Array:
    """The outputs, sample by sample, as a condition or a loop would have it."""
    session = open_session(model, 1, **options)
    return np.concatenate([run_session(session, {"x": sample[None]})[0] for sample in SEEN])


def _reference(model: ir.Model) -> Array:
    """The same by ONNX's own evaluator."""
    evaluator = ReferenceEvaluator(ir.to_proto(model))
    outputs = [evaluator.run(None, {"x": sample[None]}) for sample in SEEN]
    return np.concatenate([next(iter(output)) for output in outputs])


def _db(reference: Array, actual: Array) -> float:
    return Agreement.between([reference], [actual]).sqnr_db


def _inner_kinds(model: ir.Model) -> Counter[str]:
    """The operators in the bodies of a model, as ONNX Runtime's optimizer leaves them."""
    return Counter(node.op_type for graph in optimized_graph(model).subgraphs() for node in graph)


@pytest.mark.parametrize("scheme", ["qnnpack", "fbgemm"])
@pytest.mark.parametrize("branch", ["then", "else"])
def test_a_branch_gives_the_same_bits_as_the_graph_without_the_branch(branch: str, scheme: str) -> None:
    condition = ALWAYS if branch == "then" else "k = Identity(yes) c = Not(k)"
    taken = chain("x", "t" if branch == "then" else "e")
    parts = (taken, "e = Neg(x)") if branch == "then" else ("t = Neg(x)", taken)
    plain, inside = flow(chain("x", "y")), flow(branching(*parts, condition))
    expected, actual = (_run(_quantize(model, scheme=scheme).model) for model in (plain, inside))
    np.testing.assert_array_equal(actual, expected)
    assert _inner_kinds(_quantize(inside, scheme=scheme).model)["DynamicQuantizeMatMul"] == 0


def test_a_loop_of_a_single_round_gives_the_same_bits_as_its_body_would() -> None:
    plain, inside = flow(chain("x", "y")), flow(looping(chain("h", "n"), "once"), once=np.int64(1))
    np.testing.assert_array_equal(_run(_quantize(inside).model), _run(_quantize(plain).model))


def test_the_range_of_a_state_is_that_of_all_rounds() -> None:
    """The closed form: the state before each of three rounds, at its least and greatest."""
    states = [np.concatenate(DATA).astype(np.float64)]
    for _ in range(2):
        states.append(np.tanh(states[-1] @ W))
    low, high = min(map(np.min, states)), max(map(np.max, states))
    params = QNNPACK.activation_params(float(low), float(high))
    result = _quantize(flow(looping(STEP)))
    scales = {
        str(value.name): value.const_value.numpy()
        for graph in result.model.graph.subgraphs()
        for value in graph.initializers.values()
        if value.const_value is not None and str(value.name).endswith("/h/scale")
    }
    (scale,) = scales.values()
    np.testing.assert_allclose(scale, params.scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "products"),
    [
        (BRANCHES, 4),
        (looping(STEP), 1),
        (
            looping(
                branching(
                    chain("h", "t"), chain("h", "e", "2"), "s = ReduceSum<keepdims=0>(h) c = Greater(s, zero)"
                ).replace("y =", "n =")
            ),
            4,
        ),
        (f"f = MatMul(x, v) r = Relu(f) {branching('t = MatMul(r, w)', 'e = MatMul(r, v)')}", 2),
    ],
    ids=["branches", "loop", "branches in a loop", "integers around"],
)
def test_products_in_bodies_run_as_integers(text: str, products: int) -> None:
    model = flow(text)
    result = _quantize(model)
    onnx.checker.check_model(finish(result.model, model), full_check=True)
    kinds = _inner_kinds(result.model)
    assert sum(count for kind, count in kinds.items() if kind in INTEGER_OPS) == products
    assert kinds["MatMul"] == 0
    wanted = _reference(model)
    assert _db(wanted, _run(result.model)) > 30
    assert _db(wanted, _run(finish(result.model, model), arithmetic="exact")) > 30


def test_what_is_done_in_a_body_is_told_under_its_name() -> None:
    result = _quantize(flow(BRANCHES))
    assert "y/then_branch: 2 of 2 MatMul run as integers" in result.changes
    assert not result.warnings


def test_a_branch_that_never_runs_has_stored_weights() -> None:
    unseen = "a2 = MatMul(x, w2) b2 = Tanh(a2) e = MatMul(b2, v2)"
    model = flow(branching(chain("x", "t"), unseen, ALWAYS), w2=W.T, v2=V.T)
    result = _quantize(model)
    reasons = {refusal.name: refusal.reason for refusal in result.refusals}
    assert reasons["a2"] == reasons["e"] == UNSEEN
    assert len(to_bytes(model)) - len(to_bytes(result.model)) > 2 * 2 * (W.size + V.size)
    other = model.clone()
    other.graph.initializers["yes"].const_value = ir.tensor(np.array(False))
    made = result.model.clone()
    made.graph.initializers["yes"].const_value = ir.tensor(np.array(False))
    assert _db(_run(other), _run(made)) > 38
    assert _inner_kinds(made)["Mul"] == 0, "the way back to floats is carried out when the file is loaded"


def test_a_layer_in_a_body_that_is_named_stays_float() -> None:
    result = _quantize(flow(BRANCHES), keep_float=["a2", "e"])
    reasons = {refusal.name: refusal.reason for refusal in result.refusals}
    assert reasons["a2"] == reasons["e"] == BY_RECIPE
    assert not result.warnings, "a name in a body is one of the network"
    assert _inner_kinds(result.model)["MatMul"] == 2


def test_a_wildcard_without_a_match_is_told_once() -> None:
    (warning,) = _quantize(flow(BRANCHES), keep_float=["zzz*"]).warnings
    assert "zzz*" in warning


def test_the_time_decides_in_each_body_by_itself() -> None:
    asked = []

    def choose(lowering: Any, runs: Batches) -> TimedChoice:
        asked.append((tuple(lowering.placement.placed), runs.first().inputs["x"].shape))
        return TimedChoice(floats=("a2", "e")) if "e" in lowering.placement.placed else TimedChoice()

    result = _quantize(flow(BRANCHES), choose=choose)
    assert asked == [(("a", "t"), (1, WIDTH)), (("a2", "e"), (1, WIDTH))]
    reasons = {refusal.name: refusal.reason for refusal in result.refusals}
    assert reasons["a2"] == BY_TIME
    assert _inner_kinds(result.model)["MatMul"] == 2


@pytest.mark.parametrize(
    ("refused", "reason", "kinds"),
    [(0, None, (True, True)), (1, BODY_BY_BUDGET, (False, True)), (2, None, (False, False))],
)
def test_bodies_give_way_to_the_accuracy_budget(refused: int, reason: str | None, kinds: tuple[bool, bool]) -> None:
    """A budget that refuses so many of the forms of the bodies, and nothing else."""
    answers = iter([True, *[False, True][: 2 * refused], *[False][: refused - 1], True])
    model = flow(f"f = MatMul(x, v) {branching('t = MatMul(f, w)', 'e = Neg(f)')}")
    result = _quantize(model, lambda _: next(answers), fallback_evaluations=1)
    inner = [value for graph in result.model.graph.subgraphs() for value in graph.initializers.values()]
    stored = any(value.dtype is ir.DataType.INT8 for value in inner)
    assert (_inner_kinds(result.model)["MatMul"] == 0, stored) == kinds
    assert {refusal.reason for refusal in result.refusals if refusal.name == "t"} == ({reason} if reason else set())
    assert any(change.startswith("bodies of control flow") for change in result.changes) == (refused > 0)


def test_bodies_do_not_give_way_where_the_graph_around_them_misses_the_budget() -> None:
    model = flow(f"f = MatMul(x, v) {branching('t = MatMul(f, w)', 'e = Neg(f)')}")
    assert _inner_kinds(_quantize(model, lambda _: False).model)["MatMul"] == 0


@pytest.mark.parametrize("recovery", ["adaround", "bias_correction"])
def test_recovery_runs_in_bodies(recovery: str) -> None:
    model = flow(looping(chain("h", "n"), "two"), two=np.int64(2))
    told = recovery.replace("_", " ")
    result = _quantize(model, **{recovery: True})
    assert any(change.startswith(f"y/body: {told}: ") for change in result.changes)
    assert _db(_run(model), _run(result.model)) > 30


def test_a_network_that_has_layers_in_bodies_only_is_not_told_to_stay_float() -> None:
    assert not _quantize(flow(branching("t = MatMul(x, w)", "e = MatMul(x, v)"))).warnings
    (warning,) = _quantize(flow(branching("t = Neg(x)", "e = Relu(x)"))).warnings
    assert "stays float" in warning


@settings(max_examples=NETWORKS)
@given(seed=st.integers(0, 2**32 - 1), scheme=st.sampled_from(["qnnpack", "fbgemm"]))
def test_drawn_networks_with_bodies_agree_with_their_floats(seed: int, scheme: str) -> None:
    model = drawn_flow(np.random.default_rng(seed))
    result = _quantize(model, scheme=scheme)
    written = finish(result.model, model)
    onnx.checker.check_model(written, full_check=True)
    wanted = _reference(model)
    assert _db(wanted, _run(written)) > 25
    unseen = sum(refusal.reason == UNSEEN and refusal.kind == "MatMul" for refusal in result.refusals)
    assert _inner_kinds(result.model)["MatMul"] == unseen, "whatever runs is integer"
    assert not result.warnings
