"""What decays and what does not."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize

from edgecompress.errors import ModelError
from edgecompress.training.optimizers import adaptive, parameter_groups, sgd
from tests.networks import ConvNet, seeded


class Mask(nn.Module):
    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask


def _names(network: nn.Module) -> tuple[set[str], set[str]]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    decayed, spared = parameter_groups(network, 0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    return {names[id(p)] for p in decayed["params"]}, {names[id(p)] for p in spared["params"]}


def test_norms_and_biases_do_not_decay() -> None:
    decayed, spared = _names(seeded(ConvNet))
    assert decayed == {"features.0.weight", "features.3.weight", "classifier.weight"}
    assert spared == {
        *(f"features.{layer}.{part}" for layer in (1, 4) for part in ("weight", "bias")),
        "features.3.bias",
        "classifier.bias",
    }


def test_a_norm_over_two_axes_does_not_decay() -> None:
    assert _names(nn.Sequential(nn.Linear(4, 4, bias=False), nn.LayerNorm((2, 2))))[0] == {"0.weight"}


def test_masked_weights_decay_and_frozen_ones_are_left_out() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    parametrize.register_parametrization(network[0], "weight", Mask(torch.ones(3, 3)))
    network[1].weight.requires_grad_(False)
    assert _names(network) == ({"0.parametrizations.weight.original"}, {"0.bias", "1.bias"})


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(ModelError, match="Sequential has no parameter to train; set requires_grad on some"):
        parameter_groups(nn.Sequential(nn.ReLU()), 0.0)


def test_sgd_has_nesterov_momentum() -> None:
    group = sgd(parameter_groups(nn.Linear(2, 2), 5e-4), 0.1).param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.1, 0.9, True, 5e-4)


@given(st.floats(1e-2, 1e4), st.integers(0, 2**32))
def test_steps_of_the_adaptive_one_do_not_depend_on_how_steep_the_loss_is(steepness: float, seed: int) -> None:
    torch.manual_seed(seed)
    start, samples = nn.Linear(4, 2), torch.randn(3, 8, 4)
    ends = []
    for factor in (1.0, steepness):
        layer = copy.deepcopy(start)
        optimizer = adaptive(parameter_groups(layer, 5e-4), 0.02)
        for inputs in samples:
            (factor * layer(inputs).square().mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append(layer.weight.detach())
    first, second = ends
    assert torch.allclose(first, second, atol=1e-5)
    assert (first - start.weight).abs().max() > 1e-3


def test_the_adaptive_one_takes_a_tenth_of_the_rate_of_sgd() -> None:
    group = adaptive(parameter_groups(nn.Linear(2, 2), 5e-4), 0.1).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (pytest.approx(0.01), 5e-4)
