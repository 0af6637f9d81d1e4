"""The forms that integers need compute what the float operators compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgecompress.exporters.canonicalize.batch_norms import convolve_batch_norms
from edgecompress.exporters.canonicalize.hard_swish import unfold_hard_swish
from edgecompress.exporters.canonicalize.up_convolutions import flatten_up_convolutions
from tests.exporters.canonicalize.sequences import operators
from tests.exporters.graphs import draw, graph, run

X = draw(2, 4, 8, 8)


def test_a_hard_swish_is_a_product() -> None:
    model = graph("y = HardSwish(x)")
    result = unfold_hard_swish(model)
    assert operators(result.model) == ["HardSigmoid", "Mul"]
    wanted = torch.nn.functional.hardswish(torch.from_numpy(3 * X)).numpy()
    np.testing.assert_allclose(run(result.model, 3 * X), wanted, rtol=1e-5, atol=1e-6)
    assert result.changes == ("y: HardSwish became HardSigmoid and Mul",)


@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("bias", [", b", ""])
def test_a_transposed_convolution_without_overlap_is_laid_out_in_tiles(block: int, bias: str) -> None:
    w, b = draw(4, 6, block, block, seed=1), draw(6, seed=2)
    constants = {"w": w, "b": b} if bias else {"w": w}
    model = graph(f"y = ConvTranspose<strides=[{block},{block}]>(x, w{bias})", **constants)
    result = flatten_up_convolutions(model)
    assert operators(result.model) == ["Conv", "DepthToSpace"]
    offset = torch.from_numpy(b) if bias else None
    wanted = torch.nn.functional.conv_transpose2d(torch.from_numpy(X), torch.from_numpy(w), offset, stride=block)
    np.testing.assert_allclose(run(result.model, X), wanted.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "attributes",
    [
        "strides=[1,1]",
        "strides=[2,2], pads=[1,1,1,1]",
        "strides=[2,2], output_padding=[1,1]",
        "strides=[2,1]",
    ],
)
def test_another_transposed_convolution_stays(attributes: str) -> None:
    model = graph(f"y = ConvTranspose<{attributes}>(x, w)", w=draw(4, 6, 2, 2))
    assert operators(flatten_up_convolutions(model).model) == ["ConvTranspose"]


@pytest.mark.parametrize("groups", [2, 4])
def test_the_tiles_of_a_grouped_transposed_convolution_come_from_its_own_channels(groups: int) -> None:
    w, b = draw(4, 3, 2, 2, seed=1), draw(3 * groups, seed=2)
    result = flatten_up_convolutions(graph(f"y = ConvTranspose<strides=[2,2], group={groups}>(x, w, b)", w=w, b=b))
    assert operators(result.model) == ["Conv", "DepthToSpace"]
    x, weight, bias = (torch.from_numpy(array) for array in (X, w, b))
    wanted = torch.nn.functional.conv_transpose2d(x, weight, bias, stride=2, groups=groups)
    np.testing.assert_allclose(run(result.model, X), wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_a_batch_norm_is_a_depthwise_convolution() -> None:
    gamma, beta, mean = draw(4, seed=1), draw(4, seed=2), draw(4, seed=3)
    variance = np.abs(draw(4, seed=4)) + np.float32(0.1)
    model = graph("y = BatchNormalization<epsilon=0.01>(x, g, b, m, v)", g=gamma, b=beta, m=mean, v=variance)
    result = convolve_batch_norms(model)
    assert operators(result.model) == ["Conv"]
    x, m, v, g, b = (torch.from_numpy(array) for array in (X, mean, variance, gamma, beta))
    wanted = torch.nn.functional.batch_norm(x, m, v, g, b, eps=0.01).numpy()
    np.testing.assert_allclose(run(result.model, X), wanted, rtol=1e-4, atol=1e-5)
