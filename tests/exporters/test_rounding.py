"""Rounding for the output: never worse than to the nearest, and no single change makes it better."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration import QNNPACK, collect
from edgecompress.data import Batches, InputNames
from edgecompress.exporters.lowering import Lowering, lower
from edgecompress.exporters.moments import input_moments
from edgecompress.exporters.placement import place
from edgecompress.exporters.rounding import best_rounding, round_adaptively
from edgecompress.exporters.weights import constant_weight
from edgecompress.metrics import Agreement
from edgecompress.progress import Progress
from edgecompress.recipe import Quantization
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
    rounded = best_rounding(weight, scale, objective)
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
        found += float(_cost(best_rounding(weight, scale, objective) - weight, objective)[0])
        worst += float(_cost(np.rint(weight / scale) * scale - weight, objective)[0])
    assert best <= found < (best + worst) / 2


@pytest.mark.parametrize("kind", list(MODELS))
def test_moments_tell_the_error_of_the_output(kind: str) -> None:
    model = MODELS[kind]()
    layer = next(node for node in model.graph if node.name == "y")
    weight = constant_weight(layer)
    assert weight is not None
    moments = input_moments(model, ["y"], BATCHES, Progress())["y"]
    change = draw(*weight.shape, seed=7) * 0.1
    x = torch.from_numpy(np.concatenate(DATA))
    if kind == "gemm":
        moved = x.flatten(1) @ torch.from_numpy(change).T
    else:
        groups = layer.attributes.get_int("group", 1)
        moved = torch.nn.functional.conv2d(x, torch.from_numpy(change), stride=2, padding=1, groups=groups)
        moved = moved.permute(0, 2, 3, 1).reshape(-1, len(weight))
    rows = change.reshape(len(moments.second), -1, moments.second.shape[1])
    told = np.concatenate([_cost(r, s / moments.count) for r, s in zip(rows, moments.second, strict=True)])
    np.testing.assert_allclose(told, moved.double().square().mean(dim=0).numpy(), rtol=1e-4)


def _weight(model: ir.Model) -> Array:
    weight = constant_weight(next(node for node in model.graph if node.name == "y"))
    assert weight is not None
    return weight


def _lowering(model: ir.Model) -> Lowering:
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return lower(model, placement, calibration, Quantization(enabled=True, granularity="per_tensor"), QNNPACK)


@pytest.mark.parametrize("kind", ["convolution", "depthwise", "gemm"])
def test_the_artifact_agrees_no_less_with_the_float_model(kind: str) -> None:
    model = MODELS[kind]()
    lowering = _lowering(model)
    rounded = round_adaptively(lowering, BATCHES, Progress())
    plain, adapted = (
        Agreement.between([run(model, DATA[0])], [run(one.write(), DATA[0])]) for one in (lowering, rounded)
    )
    assert adapted.sqnr_db > plain.sqnr_db - 0.5
    moved = np.abs(_weight(rounded.model) - _weight(model))
    assert moved.max() > float(lowering.weights["y"].scale.max()) / 2  # some weight went the longer way
    assert rounded.weights is lowering.weights
