"""Layers and inputs that are drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.low_rank.activations import rows
from edgecompress.low_rank.form import Form
from edgecompress.low_rank.parts import Layer
from edgecompress.low_rank.truncated_svd import InputMoments

Pair = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw: Any) -> nn.Conv2d:
    """Of one group, with any kernel, stride, dilation and padding."""
    kernel, dilation = draw(Pair), draw(Pair)
    padding: Any = draw(st.one_of(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.sampled_from(["same", "valid"])))
    with torch.random.fork_rng():
        torch.manual_seed(draw(st.integers(0, 100)))
        return nn.Conv2d(
            draw(st.integers(1, 6)),
            draw(st.integers(1, 6)),
            kernel,
            stride=1 if padding == "same" else draw(Pair),
            padding=padding,
            dilation=dilation,
            bias=draw(st.booleans()),
            padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
        )


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated_images(count: int, channels: int, side: int, seed: int = 0) -> Tensor:
    """Channels that are mixtures of each other, smooth, with means of their own."""
    raw = functional.avg_pool2d(normal(count, channels, side + 2, side + 2, seed=seed), 3, 1)
    mixing = normal(channels, channels, seed=seed + 1) * torch.logspace(0, -2, channels)[:, None]
    return torch.einsum("nihw,ij->njhw", raw, mixing) + normal(1, channels, 1, 1, seed=seed + 2)


def moments(layer: Layer, source: Tensor) -> InputMoments:
    """Of all that the layer's weight multiplies."""
    matrix = np.concatenate(list(rows(layer, source)))
    return InputMoments(mean=matrix.mean(axis=0), second=matrix.T @ matrix / len(matrix))


def output_loss(layer: Layer, form: Form, rank: tuple[int, ...], source: Tensor) -> float:
    """What the layers of a form lose, measured on their outputs: an oracle for :meth:`Form.loss`.

    A bias takes up the mean error, so that with one the energy is that around the mean.
    """
    with torch.no_grad():
        expected, found = layer.double()(source.double()), form.build(rank).double()(source.double())
    axis = 1 if isinstance(layer, nn.Conv2d) else expected.dim() - 1
    flat = expected.movedim(axis, -1).reshape(-1, expected.shape[axis])
    energy = (flat if layer.bias is None else flat - flat.mean(dim=0)).square().sum()
    return float((found - expected).square().sum() / energy)
