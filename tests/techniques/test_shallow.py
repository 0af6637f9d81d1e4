"""Blocks go before channels, and count towards the goal."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgecompress.errors import RecipeError
from edgecompress.pruning.blocks import Shortcut
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.techniques.cutting import samples_of
from edgecompress.techniques.shallow import least_noise_first, shallower, share_gone
from edgecompress.techniques.steps.pruning import prune_channels
from tests.networks import ConvNet, seeded
from tests.techniques.contexts import Blocks, context


def _recipe(**pruning: object) -> Recipe:
    return parse_recipe({"pruning": {"enabled": True, "multiple": 1, **pruning}, "training": {"epochs": 0}})


def _gone(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_modules() if isinstance(part, Shortcut)]


def _quieted(*places: int) -> nn.Module:
    """Blocks; these add next to nothing."""
    network = copy.deepcopy(seeded(Blocks))
    with torch.no_grad():
        for place in places:
            second = network.get_submodule(f"body.{place}.second")
            for parameter in second.parameters():
                parameter.mul_(1e-3)
    return network


def test_the_blocks_that_do_least_go_first() -> None:
    network = _quieted(1, 3)
    given = context(network, _recipe(blocks=0.5), "calibration")
    names = [block.name for block in least_noise_first(network, samples_of(given), given)]
    assert sorted(names[:2]) == ["body.1", "body.3"]
    assert _gone(shallower(network, given)) == ["body.1", "body.3"]


def test_no_share_is_the_network_itself() -> None:
    network = seeded(Blocks)
    assert shallower(network, context(network, _recipe(), "calibration")) is network


def test_a_network_without_blocks_is_one_line() -> None:
    network = seeded(ConvNet)
    with pytest.raises(RecipeError, match=r"^the model has no residual block that could go; set pruning\.blocks=0$"):
        shallower(network, context(network, _recipe(blocks=0.5), "calibration"))


@pytest.mark.parametrize("goal", ["parameters", "macs"])
def test_what_went_with_the_blocks_counts(goal: str) -> None:
    network = seeded(Blocks)
    given = context(network, _recipe(blocks=0.5, goal=goal, amount=0.6, spread="uniform"), "calibration")
    shallow = shallower(network, given)
    block = 2 * (16 * 16 * 9 + 16)
    whole = sum(parameter.numel() for parameter in network.parameters())
    if goal == "parameters":
        assert share_gone(network, shallow, given) == pytest.approx(2 * block / whole)
    result = prune_channels(network, given)
    left = result.metrics[f"pruned_{goal}"] / result.metrics[f"original_{goal}"]  # type: ignore[operator]
    assert 0.3 < left <= 0.4
    assert len(_gone(result.model)) == 2


def test_channels_are_counted_in_what_is_left() -> None:
    network = seeded(Blocks)
    given = context(network, _recipe(blocks=0.5, goal="channels"), "calibration")
    assert share_gone(network, shallower(network, given), given) == 0
