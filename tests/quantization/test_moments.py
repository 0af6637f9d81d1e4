"""Moments of inputs: what they tell of a layer's outputs is what the outputs are."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgecompress.quantization.moments import DOUBT, Moments, input_moments
from edgecompress.quantization.weights import constant_weight
from tests.exporters.graphs import Array, draw, graph

ATTRIBUTES = 'auto_pad="NOTSET", pads=[1,1,1,1], strides=[2,2]'  # as the exporter writes them
MODELS = {
    "convolution": lambda: graph(f"y = Conv<{ATTRIBUTES}>(x, w, b)", w=draw(4, 4, 3, 3), b=draw(4)),
    "depthwise": lambda: graph(f"y = Conv<{ATTRIBUTES}, group=4>(x, w)", w=draw(4, 1, 3, 3)),
    "gemm": lambda: graph("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", w=draw(5, 256) * 0.1, b=draw(5)),
}
REAL = [draw(16, 4, 8, 8) + 2, draw(7, 4, 8, 8, seed=1) + 2]
INTEGER = [(array + 0.1 * draw(*array.shape, seed=2)).astype(np.float32) for array in REAL]


def _layer(model: ir.Model) -> tuple[ir.Node, Array]:
    layer = next(node for node in model.graph if node.name == "y")
    weight = constant_weight(layer)
    assert weight is not None
    return layer, weight


def _moments(layer: ir.Node) -> Moments:
    shaped = [[x.reshape(len(x), -1) if layer.op_type == "Gemm" else x for x in arrays] for arrays in (REAL, INTEGER)]
    return input_moments(layer, *shaped)


def _outputs(layer: ir.Node, arrays: list[Array], weight: Array) -> torch.Tensor:
    """(positions, channels) of a layer without its bias, in float64."""
    x, w = torch.from_numpy(np.concatenate(arrays)).double(), torch.from_numpy(weight.copy()).double()
    if layer.op_type == "Gemm":
        return x.flatten(1) @ w.T
    groups = layer.attributes.get_int("group", 1)
    outputs = torch.nn.functional.conv2d(x, w, stride=2, padding=1, groups=groups)
    return outputs.permute(0, 2, 3, 1).reshape(-1, len(weight))


def _told(moments: Moments, wanted: Array, given: Array) -> Array:
    """E[(given q - wanted x)^2] for each channel, without E[(wanted x)^2], by the moments."""
    groups, _, size = moments.second.shape
    w, v = (each.astype(np.float64).reshape(groups, -1, size) for each in (wanted, given))
    squares = np.einsum("gck,gkl,gcl->gc", v, moments.second, v)
    return np.asarray((squares - 2 * np.einsum("gck,gkl,gcl->gc", w, moments.second - moments.error, v)).reshape(-1))


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("centred", [False, True])
def test_moments_tell_the_error_of_the_output(kind: str, centred: bool) -> None:
    layer, weight = _layer(MODELS[kind]())
    moments = _moments(layer)
    other = (weight + 0.1 * draw(*weight.shape, seed=7)).astype(np.float32)
    wanted, given = _outputs(layer, REAL, weight), _outputs(layer, INTEGER, other)
    if centred:
        wanted, given = wanted - wanted.mean(dim=0), given - given.mean(dim=0)
    error = ((given - wanted).square() - wanted.square()).mean(dim=0).numpy()
    told = _told(moments.centred if centred else moments, weight, other)
    np.testing.assert_allclose(told, error, rtol=1e-3, atol=1e-3 * np.abs(error).max())


@pytest.mark.parametrize("kind", list(MODELS))
def test_means_tell_the_mean_of_the_output(kind: str) -> None:
    layer, weight = _layer(MODELS[kind]())
    moments = _moments(layer)
    for mean, arrays in ((moments.real, REAL), (moments.mean, INTEGER)):
        rows = weight.reshape(len(mean), -1, mean.shape[1])
        told = np.einsum("gck,gk->gc", rows, mean).reshape(-1)
        np.testing.assert_allclose(told, _outputs(layer, arrays, weight).mean(dim=0).numpy(), rtol=1e-4, atol=1e-4)


def test_few_columns_are_trusted_less_off_the_diagonal() -> None:
    moments = _moments(_layer(MODELS["convolution"]())[0])
    trust = moments.count / (moments.count + 36 * DOUBT)
    shrunk = moments.shrunk
    np.testing.assert_array_equal(np.diagonal(shrunk.second[0]), np.diagonal(moments.second[0]))
    np.testing.assert_allclose(shrunk.second[0, 0, 1:], trust * moments.second[0, 0, 1:], rtol=1e-6)
    np.testing.assert_allclose(shrunk.error, trust * moments.error, rtol=1e-6)
