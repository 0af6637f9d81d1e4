"""What reaches a body on given data, held against what the operator is defined to do."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.data.batches import Batches
from edgecompress.quantization.bodies import bodies_of
from edgecompress.quantization.body_runs import runs_of
from tests.quantization.flows import DATA, WIDTH, W, batches_of, branching, flow, looping

SAMPLES = np.concatenate(DATA)
STEP = "m = MatMul(h, w) n = Tanh(m)"


def _runs(model: ir.Model, number: int = 0, batches: Batches | None = None) -> list[dict[str, Array]]:
    body = list(bodies_of(model))[number]
    return [batch.inputs for batch in runs_of(model, body, batches or batches_of())]


def _after(x: Array, rounds: int) -> NDArray[np.float64]:
    state = x.astype(np.float64)
    for _ in range(rounds):
        state = np.tanh(state @ W)
    return state


@pytest.mark.parametrize("number", [0, 1])
def test_a_branch_runs_on_the_samples_that_choose_it(number: int) -> None:
    model = flow(branching("t = MatMul(x, w)", "e = Relu(x)"))
    chosen = SAMPLES[(SAMPLES.sum(axis=1) > 0) == (number == 0)]
    assert 0 < len(chosen) < len(SAMPLES)
    np.testing.assert_array_equal(np.concatenate([run["x"] for run in _runs(model, number)]), chosen)


def test_a_branch_that_a_constant_rules_out_never_runs() -> None:
    model = flow(branching("t = MatMul(x, w)", "e = Relu(x)", "c = Identity(yes)"))
    assert (len(_runs(model, 0)), len(_runs(model, 1))) == (len(SAMPLES), 0)


def test_a_network_of_a_fixed_batch_is_run_on_whole_batches() -> None:
    model = flow(branching("t = MatMul(x, w)", "e = Relu(x)"))
    model.graph.inputs[0].shape = ir.Shape([4, WIDTH])
    assert [run["x"].shape[0] for number in (0, 1) for run in _runs(model, number)] == [4] * len(DATA)


def test_a_loop_hands_on_its_state_as_often_as_it_goes_round() -> None:
    runs = _runs(flow(looping(STEP)))
    assert [int(run["i"]) for run in runs] == [0, 1, 2] * len(SAMPLES)
    assert all(run["go"] for run in runs)
    for index, run in enumerate(runs):
        wanted = _after(SAMPLES[index // 3][None], index % 3)
        np.testing.assert_allclose(run["h"], wanted, rtol=1e-3, atol=1e-5)


def test_a_loop_ends_where_its_condition_says() -> None:
    """It goes round until the state is small, at most ten times: Tanh keeps it below any start beyond 1."""
    ends = "p = Abs(n) q = ReduceMax<keepdims=0>(p) large = Greater(q, half)"
    model = flow(looping(STEP + ends, "ten", "large"), half=np.float32(0.5), ten=np.int64(10))
    counts = []
    for sample in SAMPLES:
        rounds = 1
        while np.abs(_after(sample[None], rounds)).max() > 0.5 and rounds < 10:
            rounds += 1
        counts.append(rounds)
    assert len(set(counts)) > 1
    runs = _runs(model)
    starts = [index for index, run in enumerate(runs) if int(run["i"]) == 0]
    assert np.diff([*starts, len(runs)]).tolist() == counts


def test_a_loop_that_never_begins_has_no_runs() -> None:
    assert _runs(flow(looping(STEP), yes=np.array(False))) == []
    assert _runs(flow(looping(STEP, "none"), none=np.int64(0))) == []


@pytest.mark.parametrize(("axis", "backwards"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_scan_goes_through_slices(axis: int, backwards: int) -> None:
    """The state is the sum of the slices before; what is scanned has its steps along either axis."""
    shape = f"float[{WIDTH}]" if axis == 0 else "float[N]"
    start = "z = ReduceSum<keepdims=0>(x, ax)"
    body = f"({shape} h, {shape} p) => ({shape} n, {shape} o) {{ n = Add(h, p) o = Mul(n, p) }}"
    directions = f"scan_input_directions=[{backwards}], scan_output_directions=[{backwards}]"
    scan = f"<body = each {body}, num_scan_inputs=1, scan_input_axes=[{axis}], scan_output_axes=[{axis}], {directions}>"
    text = f"{start} u = Mul(z, zero) k, y = Scan(u, x) {scan}"
    runs = _runs(flow(text, ax=np.array([axis], np.int64)))
    steps = [slices for sample in SAMPLES for slices in _slices(sample[None], axis, backwards)]
    assert len(runs) == len(steps)
    for run, (before, part) in zip(runs, steps, strict=True):
        np.testing.assert_array_equal(run["p"], part)
        np.testing.assert_allclose(run["h"], before, rtol=1e-5, atol=1e-6)


def _slices(x: Array, axis: int, backwards: int) -> list[tuple[Array, Array]]:
    parts = [x.take(index, axis) for index in range(x.shape[axis])]
    parts = parts[::-1] if backwards else parts
    return [(np.sum([np.zeros_like(parts[0]), *parts[:index]], axis=0), part) for index, part in enumerate(parts)]


def test_a_body_reads_constants_inputs_and_what_is_computed() -> None:
    model = flow("r = Relu(x)" + looping("m = MatMul(h, w) k = Add(m, r) n = Add(k, x)", around="v"))
    runs = _runs(model)
    np.testing.assert_array_equal(runs[3]["x"], SAMPLES[1][None])
    np.testing.assert_array_equal(runs[3]["r"], np.maximum(SAMPLES[1][None], 0))
    np.testing.assert_array_equal(runs[3]["h"], model.graph.initializers["v"].const_value.numpy())  # type: ignore[union-attr]
