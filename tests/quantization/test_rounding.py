"""Rounding for the output: never worse than to the nearest, and no single change makes it better."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration import QNNPACK, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization import rounding
from edgecompress.quantization.lowering import Lowering, lower
from edgecompress.quantization.moments import Moments, input_moments
from edgecompress.quantization.placement import place
from edgecompress.quantization.rounding import best_rounding, round_adaptively
from edgecompress.quantization.weights import constant_weight
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import Array, draw, graph, run

ATTRIBUTES = 'auto_pad="NOTSET", pads=[1,1,1,1], strides=[2,2]'  # as the exporter writes them
BASE = draw(16, 4, 8, 8)
# Correlated channels: what rounding one weight costs, another can take back.
DATA = [BASE + 2 * BASE[:, :1], BASE[::-1].copy() + 2 * BASE[::-1, :1]]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
MODELS = {
    "convolution": lambda: graph(f"y = Conv<{ATTRIBUTES}>(x, w, b)", w=draw(4, 4, 3, 3), b=draw(4)),
    "depthwise": lambda: graph(f"y = Conv<{ATTRIBUTES}, group=4>(x, w)", w=draw(4, 1, 3, 3)),
    "gemm": lambda: graph("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", w=draw(5, 256) * 0.1, b=draw(5)),
}


def _cost(error: Array, objective: Array) -> Array:
    wide = error.astype(np.float64)
    return np.asarray(np.einsum("ck,kl,cl->c", wide, objective.astype(np.float64), wide))


def _problem(seed: int, channels: int, size: int) -> tuple[Array, Array, Array]:
    columns = draw(size, 3 * size, seed=seed) + draw(1, 3 * size, seed=seed + 1)
    weight = draw(channels, size, seed=seed + 2)
    scale = np.broadcast_to(np.abs(weight).max(axis=1, keepdims=True) / 7, weight.shape)
    return weight, scale.copy(), (columns @ columns.T / columns.shape[1]).astype(np.float32)


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 24))
def test_no_channel_costs_more_than_the_nearest_integers(seed: int, channels: int, size: int) -> None:
    weight, scale, objective = _problem(seed, channels, size)
    rounded = best_rounding(weight, scale, objective, np.zeros_like(weight))
    nearest = np.rint(weight / scale) * scale
    assert (_cost(rounded - weight, objective) <= _cost(nearest - weight, objective) * (1 + 1e-4) + 1e-9).all()
    assert (np.abs(rounded - weight) <= scale * 1.0001).all()
    np.testing.assert_allclose(rounded / scale, np.rint(rounded / scale), atol=1e-4)


def test_it_comes_close_to_the_best_of_all_choices() -> None:
    worst, found, best = 0.0, 0.0, 0.0
    for seed in range(20):
        weight, scale, objective = _problem(seed, 1, 8)
        down = np.floor(weight / scale)
        choices = (down + np.array(bits) for bits in itertools.product((0, 1), repeat=8))
        best += min(float(_cost(choice * scale - weight, objective)[0]) for choice in choices)
        found += float(_cost(best_rounding(weight, scale, objective, np.zeros_like(weight)) - weight, objective)[0])
        worst += float(_cost(np.rint(weight / scale) * scale - weight, objective)[0])
    assert best <= found < (best + worst) / 2


def test_a_weight_takes_back_the_error_of_its_input() -> None:
    """One input, given twice as large as it should be: the best weight is half, and the nearest integers 4 and 2."""
    weight, scale = np.full((1, 1), 2.4, np.float32), np.ones((1, 1), np.float32)
    real, given = np.float32(1.0), np.float32(1.2)
    second, cross = np.full((1, 1), given * given), np.full((1, 1), real * given)
    assert best_rounding(weight, scale, second, np.zeros_like(weight)) == 2
    assert best_rounding(weight + 0.3, scale, second, np.zeros_like(weight)) == 3
    assert best_rounding(weight + 0.3, scale, second, (weight + 0.3) @ (second - cross)) == 2


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 16))
def test_with_errors_in_the_inputs_no_channel_is_further_from_the_float_outputs(
    seed: int, channels: int, size: int
) -> None:
    weight, scale, _ = _problem(seed, channels, size)
    real = draw(size, 4 * size, seed=seed + 3)
    taken = (real + 0.2 * draw(size, 4 * size, seed=seed + 4)).astype(np.float32)
    count = np.float32(real.shape[1])
    second, cross = taken @ taken.T / count, real @ taken.T / count
    rounded = best_rounding(weight, scale, second, weight @ (second - cross))
    wanted, nearest = weight @ real, (np.rint(weight / scale) * scale) @ taken
    found = ((rounded @ taken - wanted) ** 2).sum(axis=1)
    assert (found <= ((nearest - wanted) ** 2).sum(axis=1) * (1 + 1e-3) + 1e-6).all()


def _weight(model: ir.Model) -> Array:
    weight = constant_weight(next(node for node in model.graph if node.name == "y"))
    assert weight is not None
    return weight


def _lowering(model: ir.Model) -> Lowering:
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return lower(model, placement, calibration, Quantization(enabled=True, granularity="per_tensor"), QNNPACK)


@pytest.mark.parametrize(("held_bytes", "samples"), [(1e9, 32), (6 * 4 * 64 * 4, 6), (1, 2)])
def test_as_many_samples_are_read_as_the_memory_has_room_for(
    held_bytes: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[int] = []

    def watched(layer: ir.Node, exact: Iterable[Array], rounded: Iterable[Array]) -> Moments:
        arrays = list(exact)
        rows.append(sum(map(len, arrays)))
        return input_moments(layer, arrays, rounded)

    monkeypatch.setattr(rounding, "HELD_BYTES", held_bytes)
    monkeypatch.setattr(rounding, "input_moments", watched)
    round_adaptively(_lowering(MODELS["convolution"]()), BATCHES, Progress())
    assert rows == [samples]


@pytest.mark.parametrize("kind", ["convolution", "depthwise", "gemm"])
def test_the_artifact_agrees_no_less_with_the_float_model(kind: str) -> None:
    model = MODELS[kind]()
    lowering = _lowering(model)
    rounded = round_adaptively(lowering, BATCHES, Progress())
    plain, adapted = (
        Agreement.between([run(model, DATA[0])], [run(each.write(), DATA[0])]) for each in (lowering, rounded)
    )
    assert adapted.sqnr_db > plain.sqnr_db - 0.5
    moved = np.abs(_weight(rounded.model) - _weight(model))
    assert moved.max() > float(lowering.weights["y"].scale.max()) / 2  # some weight went the longer way
    assert rounded.weights is lowering.weights


def test_a_few_images_whose_positions_resemble_each_other_are_not_learned_by_heart() -> None:
    images = np.random.default_rng(0).normal(size=(32, 64, 1, 1)).astype(np.float32)
    seen = np.broadcast_to(images, (32, 64, 7, 7)).copy()
    model = graph("y = Conv(x, w)", w=draw(64, 64, 1, 1))
    layer = next(node for node in model.graph if node.name == "y")
    weight = constant_weight(layer)
    assert weight is not None
    rows = weight.reshape(64, 64)
    scale = np.full_like(rows, np.abs(rows).max() / 127)
    trusting = input_moments(layer, [seen], [seen])

    def error(moments: Moments) -> float:
        rounded = best_rounding(rows, scale, moments.second[0], np.zeros_like(rows))
        return float(np.square(rounded - rows).sum())  # on other images, whose channels do not correlate

    nearest = float(np.square(np.rint(rows / scale) * scale - rows).sum())
    assert error(trusting) > 1.6 * nearest
    assert error(trusting.shrunk) < 1.4 * nearest
