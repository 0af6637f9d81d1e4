"""1x1, k x k, 1x1, whatever the stride, the padding and the dilation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.tucker import TuckerForm
from tests.low_rank.drawn import convolutions, correlated_images, moments, normal, output_loss


@given(convolutions(), st.booleans())
def test_at_full_rank_the_three_layers_are_the_layer(layer: nn.Conv2d, whitened: bool) -> None:
    source = normal(2, layer.in_channels, 9, 8)
    form = TuckerForm(layer=layer, moments=moments(layer, source) if whitened else None)
    torch.testing.assert_close(form.build(form.full)(source), layer(source), rtol=0, atol=2e-5)


def test_a_weight_of_these_ranks_is_found_again() -> None:
    layer = nn.Conv2d(8, 9, 3)
    exact = torch.einsum("or,rsyx,si->oiyx", normal(9, 3), normal(3, 2, 3, 3, seed=1), normal(2, 8, seed=2))
    with torch.no_grad():
        layer.weight.copy_(exact)
    form, source = TuckerForm(layer=layer), normal(2, 8, 7, 7)
    assert form.loss((3, 2)) == pytest.approx(0, abs=1e-9)
    torch.testing.assert_close(form.build((3, 2))(source), layer(source), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [0, 1])
def test_with_one_rank_full_the_error_is_the_tail_of_the_other_unfolding(side: int) -> None:
    form = TuckerForm(layer=nn.Conv2d(6, 6, 3))
    weight = form.weight
    values = np.linalg.svd(np.moveaxis(weight, side, 0).reshape(6, -1), compute_uv=False)
    rank = (2, 6) if side == 0 else (6, 2)
    error = np.square(form.product(form.parts(rank)) - weight.reshape(6, -1)).sum()
    assert error == pytest.approx(np.square(values[2:]).sum(), rel=1e-6)
    assert form.loss(rank) == pytest.approx(error / np.square(weight).sum(), rel=1e-6)


@given(st.integers(0, 200))
def test_the_iteration_loses_no_more_than_was_said(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        form = TuckerForm(layer=nn.Conv2d(6, 7, 3))
    error = np.square(form.product(form.parts((3, 2))) - form.weight.reshape(7, -1)).sum()
    assert error / np.square(form.weight).sum() <= form.loss((3, 2)) + 1e-12


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rank", [(2, 2), (3, 4), (6, 3)])
def test_whitened_the_outputs_lose_less_than_without(rank: tuple[int, int], bias: bool) -> None:
    layer, source = nn.Conv2d(5, 7, 3, stride=2, padding=1, bias=bias), correlated_images(8, 5, 12)
    form, plain = TuckerForm(layer=layer, moments=moments(layer, source)), TuckerForm(layer=layer)
    lost = output_loss(layer, form, rank, source)
    assert lost <= form.loss(rank) + 0.02  # the iteration works on the mean over the kernel
    assert lost < output_loss(layer, plain, rank, source)


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch says it once in a process
@given(convolutions())
def test_costs_are_what_pytorch_counts(layer: nn.Conv2d) -> None:
    form, source = TuckerForm(layer=layer), normal(2, layer.in_channels, 9, 8)
    for rank in [*form.ranks(2)[:3], form.full]:
        built = form.build(rank)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            result = built(source)
        call = LayerCall(source=tuple(source.shape), result=tuple(result.shape))
        assert form.macs(rank, [call]) == counter.get_total_flops() // 2
        assert form.parameters(rank) == sum(each.weight.numel() for each in built)  # type: ignore[misc, operator]


def test_one_of_the_ranks_may_be_full_and_there_are_few() -> None:
    ranks = TuckerForm(layer=nn.Conv2d(8, 8, 3)).ranks(4)
    assert ranks == [(4, 4), (4, 8), (8, 4)]
    assert len(TuckerForm(layer=nn.Conv2d(256, 256, 3)).ranks(2)) <= 17**2
