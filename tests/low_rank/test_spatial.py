"""k x 1 and 1 x k, whatever the stride, the padding and the dilation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgecompress.low_rank.form import LayerCall
from edgecompress.low_rank.spatial import SpatialForm
from tests.low_rank.drawn import convolutions, correlated_images, moments, normal, output_loss


@given(convolutions(), st.booleans())
def test_at_full_rank_both_layers_are_the_layer(layer: nn.Conv2d, whitened: bool) -> None:
    source = normal(2, layer.in_channels, 9, 8)
    form = SpatialForm(layer=layer, moments=moments(layer, source) if whitened else None)
    torch.testing.assert_close(form.build(form.full)(source), layer(source), rtol=0, atol=2e-5)


@given(convolutions(), st.integers(1, 4))
def test_the_error_of_the_weight_is_the_tail_of_the_singular_values(layer: nn.Conv2d, rank: int) -> None:
    form = SpatialForm(layer=layer)
    rank = min(rank, *form.full)
    weight = layer.weight.detach().double().numpy()
    made, read, high, wide = weight.shape
    values = np.linalg.svd(weight.transpose(0, 3, 1, 2).reshape(made * wide, read * high), compute_uv=False)
    error = np.square(form.product(form.parts((rank,))) - weight.reshape(made, -1)).sum()
    assert error == pytest.approx(np.square(values[rank:]).sum(), abs=1e-9)
    assert form.loss((rank,)) == pytest.approx(error / np.square(weight).sum(), abs=1e-9)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rank", [1, 4, 9])
def test_whitened_the_loss_is_what_the_outputs_lose_and_less_than_without(rank: int, bias: bool) -> None:
    layer, source = nn.Conv2d(5, 7, 3, stride=2, padding=1, bias=bias), correlated_images(8, 5, 12)
    form, plain = SpatialForm(layer=layer, moments=moments(layer, source)), SpatialForm(layer=layer)
    lost = output_loss(layer, form, (rank,), source)
    assert form.loss((rank,)) == pytest.approx(lost, abs=1e-3)
    assert lost < output_loss(layer, plain, (rank,), source)


@given(convolutions(), st.integers(1, 3))
def test_costs_are_what_pytorch_counts(layer: nn.Conv2d, rank: int) -> None:
    form, source = SpatialForm(layer=layer), normal(2, layer.in_channels, 9, 8)
    built = form.build((rank,)) if rank <= form.full[0] else form.build(form.full)
    kept = (min(rank, *form.full),)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        result = built(source)
    call = LayerCall(source=tuple(source.shape), result=tuple(result.shape))
    assert form.macs(kept, [call]) == counter.get_total_flops() // 2
    assert form.parameters(kept) == sum(each.weight.numel() for each in built)  # type: ignore[misc, operator]
