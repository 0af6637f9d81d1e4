"""Linear layers and convolutions of kernel 1: two layers whose error is known in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.matrix_form import MatrixForm
from edgecompress.low_rank.parts import Layer
from tests.low_rank.drawn import correlated_images, moments, normal, output_loss

LAYERS: dict[str, tuple[Layer, tuple[int, ...]]] = {
    "linear": (nn.Linear(12, 7), (4, 12)),
    "linear without bias": (nn.Linear(7, 12, bias=False), (2, 3, 7)),
    "conv1d": (nn.Conv1d(6, 9, 1, stride=2, padding=1), (2, 6, 11)),
    "conv2d": (nn.Conv2d(6, 9, 1, stride=(2, 3), padding=(1, 2)), (2, 6, 9, 9)),
    "reflecting": (nn.Conv2d(6, 9, 1, padding=2, padding_mode="reflect"), (2, 6, 9, 9)),
    "same": (nn.Conv2d(6, 9, 1, padding="same"), (2, 6, 9, 9)),
    "unbatched": (nn.Conv2d(6, 9, 1), (6, 9, 9)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("whitened", [False, True])
def test_at_full_rank_both_layers_are_the_layer(name: str, whitened: bool) -> None:
    layer, shape = LAYERS[name]
    source = normal(*shape)
    form = MatrixForm(layer=layer, moments=moments(layer, source) if whitened else None)
    torch.testing.assert_close(form.build(form.full)(source), layer(source), rtol=0, atol=1e-5)


def test_the_error_of_white_inputs_is_the_tail_of_the_singular_values() -> None:
    layer = nn.Linear(8, 10)
    source = torch.linalg.qr(normal(64, 8))[0]  # orthonormal columns: E[x x^T] is a multiple of the identity
    values = np.linalg.svd(layer.weight.detach().double().numpy(), compute_uv=False)
    with torch.no_grad():
        for rank in range(1, 8):
            error = MatrixForm(layer=layer).build((rank,))(source) - layer(source)
            assert float(error.square().sum()) == pytest.approx(np.square(values[rank:]).sum(), abs=1e-6)


@given(st.integers(0, 1000), st.booleans())
def test_whitened_the_loss_is_what_the_outputs_lose_and_less_than_without(seed: int, bias: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = nn.Linear(8, 6, bias=bias)
    source = normal(200, 3, seed=seed) @ normal(3, 8, seed=seed + 1) + 0.3 * normal(200, 8, seed=seed + 2) + 1
    form, plain = MatrixForm(layer=layer, moments=moments(layer, source)), MatrixForm(layer=layer)
    for rank in range(1, 6):
        lost = output_loss(layer, form, (rank,), source)
        assert form.loss((rank,)) == pytest.approx(lost, abs=1e-4)
        assert lost <= output_loss(layer, plain, (rank,), source) + 1e-6


def test_whitened_a_convolution_loses_what_is_said() -> None:
    layer = nn.Conv2d(6, 9, 1, stride=2, padding=1)
    source = correlated_images(4, 6, 10)
    form = MatrixForm(layer=layer, moments=moments(layer, source))
    assert form.loss((3,)) == pytest.approx(output_loss(layer, form, (3,), source), abs=1e-4)


def test_costs() -> None:
    form = MatrixForm(layer=nn.Linear(12, 7))
    assert form.full == (7,)
    assert form.ranks(2) == [(2,), (4,), (6,)]
    assert form.parameters((4,)) == 4 * (12 + 7)
    assert form.macs((4,), [LayerCall(source=(5, 3, 12), result=(5, 3, 7))]) == 15 * 4 * (12 + 7)


def test_the_loss_falls_with_the_rank() -> None:
    form = MatrixForm(layer=nn.Linear(12, 7))
    losses = [form.loss((rank,)) for rank in range(8)]
    assert losses[0] == 1
    assert losses[-1] == 0
    assert all(high > low for high, low in pairwise(losses))


def test_a_weight_of_zeros_loses_nothing() -> None:
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    form = MatrixForm(layer=layer)
    assert form.loss((1,)) == 0
    torch.testing.assert_close(form.build((1,))(normal(2, 4)), layer(normal(2, 4)))
