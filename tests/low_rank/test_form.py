"""What all forms share: costs of a layer, and what each axis keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.low_rank.form import LayerCall, calls_macs, multiples, outputs, settings_of
from edgecompress.low_rank.matrix_form import MatrixForm
from tests.low_rank.drawn import moments, normal


def test_a_layer_multiplies_its_weight_at_every_position_of_every_call() -> None:
    layer = nn.Conv2d(3, 4, 3)
    calls = [LayerCall(source=(2, 3, 7, 7), result=(2, 4, 5, 5)), LayerCall(source=(3, 4, 4), result=(4, 2, 2))]
    assert [outputs(layer, call) for call in calls] == [50, 4]
    assert calls_macs(layer, calls) == 54 * 3 * 4 * 9


def test_multiples_stop_below_the_full_rank() -> None:
    assert multiples(16, 8) == [8]
    assert multiples(4, 8) == []


@pytest.mark.parametrize(("padding", "kept"), [((1, 2), (1, 0)), ("same", "same"), ("valid", "valid")])
def test_each_axis_keeps_its_own(padding: str | tuple[int, int], kept: str | tuple[int, int]) -> None:
    stride = 1 if padding == "same" else (2, 3)
    layer = nn.Conv2d(3, 4, 3, stride=stride, padding=padding, dilation=(3, 2))
    found = settings_of(layer, (True, False))
    strides = (1, 1) if padding == "same" else (2, 1)
    assert found == {"stride": strides, "padding": kept, "dilation": (3, 1)}


def test_the_bias_takes_up_the_mean_error() -> None:
    layer, source = nn.Linear(8, 6), normal(300, 8) + 2
    built = MatrixForm(layer=layer, moments=moments(layer, source)).build((2,))
    with torch.no_grad():
        torch.testing.assert_close(built(source).mean(0), layer(source).mean(0), rtol=0, atol=1e-4)
