"""A layer that learns: its integers are those that the file will hold, wherever its parameters went."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgecompress.calibration import FBGEMM_NARROW_WEIGHTS
from edgecompress.calibration.schemes import weight_scale
from edgecompress.quantization.aware.integer_layer import IntegerLayer
from edgecompress.quantization.placement import place
from edgecompress.quantization.weights import weight_grids
from tests.exporters.graphs import draw, graph

SOURCE = 0.05


def _layer(seed: int, axis: int | None, paired: bool | None, moved: float = 0.0) -> IntegerLayer:
    weight = draw(6, 4, 3, 3, seed=seed)
    weight[seed % 6] *= seed % 3  # dead where it is 0
    peak = np.abs(weight).max(axis=None if axis is None else (1, 2, 3))
    unit = np.asarray(weight_scale(peak), np.float32)
    spread = unit if axis is None else unit.reshape(-1, 1, 1, 1)
    latent = nn.Parameter(torch.tensor(weight / spread))
    bias, pair_axis = draw(6, seed=seed + 1), 0 if paired else None
    layer = IntegerLayer(latent, unit, axis, bias, SOURCE, learns_step=paired is None, pair_axis=pair_axis)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(moved * torch.randn(parameter.shape, generator=generator))
    return layer


@given(st.integers(0, 50), st.sampled_from([0, None]), st.sampled_from([None, True, False]), st.floats(0, 20))
def test_what_is_learned_rounds_to_what_was_run(seed: int, axis: int | None, paired: bool | None, moved: float) -> None:
    layer = _layer(seed, axis, paired, moved)
    weight, bias = layer(torch.tensor(SOURCE))
    learned = layer.learned(torch.tensor(SOURCE))
    codes = learned.params.quantize(learned.weight)
    np.testing.assert_array_equal(learned.params.dequantize(codes), weight.detach().numpy())
    assert bias is not None
    assert learned.bias is not None
    fine = np.float32(SOURCE) * learned.params.scale
    np.testing.assert_allclose(bias.detach().numpy(), np.rint(learned.bias / fine) * fine, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("group", "shape"), [(1, (8, 4, 3, 3)), (4, (4, 1, 3, 3))])
@pytest.mark.parametrize("axis", [0, None])
def test_narrow_steps_are_those_of_the_calibration(group: int, shape: tuple[int, ...], axis: int | None) -> None:
    model = graph(f"y = Conv<group={group}, pads=[1,1,1,1]>(x, w)", w=draw(*shape))
    grids = weight_grids(model.graph, place(model.graph), FBGEMM_NARROW_WEIGHTS, per_channel=axis is not None)
    weight, scale = draw(*shape), grids["y"].scale
    spread = scale if axis is None else scale.reshape(-1, 1, 1, 1)
    latent = nn.Parameter(torch.tensor(weight / spread))
    layer = IntegerLayer(latent, scale, axis, None, SOURCE, learns_step=False, pair_axis=0 if group == 1 else None)
    np.testing.assert_allclose(layer.learned(torch.tensor(SOURCE)).params.scale, scale, rtol=1e-6)


@pytest.mark.parametrize("axis", [1, None])
def test_narrow_steps_of_a_product_of_matrices_are_those_of_the_calibration(axis: int | None) -> None:
    """The output channels of its weight lie along the second axis."""
    weight = draw(256, 5)
    weight[:, 2] *= np.linspace(0, 3, 256, dtype=np.float32)
    model = graph("f = Flatten(x) y = Gemm(f, w)", w=weight)
    grids = weight_grids(model.graph, place(model.graph), FBGEMM_NARROW_WEIGHTS, per_channel=axis is not None)
    scale = grids["y"].scale
    spread = scale if axis is None else scale.reshape(1, -1)
    latent = nn.Parameter(torch.tensor(weight / spread))
    layer = IntegerLayer(latent, scale, axis, None, SOURCE, learns_step=False, pair_axis=1)
    np.testing.assert_allclose(layer.learned(torch.tensor(SOURCE)).params.scale, scale, rtol=1e-6)


@given(st.integers(0, 50), st.floats(0, 20))
def test_no_two_weights_come_to_more_than_a_pair_holds(seed: int, moved: float) -> None:
    learned = _layer(seed, 0, True, moved).learned(torch.tensor(SOURCE))
    codes = learned.params.quantize(learned.weight).astype(int).reshape(6, -1)
    for sign in (1, -1):
        heaviest = np.sort(np.clip(sign * codes, 0, None), axis=1)[:, -2:].sum(axis=1)
        assert heaviest.max() <= 128


def test_weight_step_and_bias_get_gradients() -> None:
    layer = _layer(0, 0, None)
    weight, bias = layer(torch.tensor(SOURCE, requires_grad=True))
    assert bias is not None
    (weight.square().sum() + bias.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_the_placement_of_the_test_has_a_weight() -> None:
    model = graph("y = Conv(x, w)", w=draw(8, 4, 3, 3))
    assert isinstance(model, ir.Model)
    assert place(model.graph).placed == ("y",)
