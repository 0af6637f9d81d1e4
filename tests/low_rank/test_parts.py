"""The layers in the place of one are what it was."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgecompress.low_rank.parts import Part, assemble, weight_of


def test_dtype_mode_and_what_is_trained_stay() -> None:
    layer = nn.Linear(4, 3).to(torch.bfloat16).eval()
    layer.weight.requires_grad_(False)
    made = assemble(layer, (Part(weight=np.ones((2, 4))), Part(weight=np.ones((3, 2)))), np.ones(3))
    assert [type(each) for each in made] == [nn.Linear, nn.Linear]
    assert not any(module.training for module in made.modules())
    first, second = made
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert first.bias is None
    assert first.weight.dtype == second.bias.dtype == torch.bfloat16
    assert not first.weight.requires_grad
    assert not second.weight.requires_grad
    assert second.bias.requires_grad
    torch.testing.assert_close(second.bias, layer.bias + 1)
    assert made.training is False


def test_the_random_numbers_of_the_user_are_not_moved_on() -> None:
    layer = nn.Conv2d(2, 2, 1)
    before = torch.random.get_rng_state()
    weight = weight_of(layer)
    assemble(layer, (Part(weight=weight), Part(weight=weight)))
    assert weight.dtype == np.float64
    assert torch.equal(before, torch.random.get_rng_state())
