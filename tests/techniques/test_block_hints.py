"""What residual blocks hand on is learned where the network was made from its teacher."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from edgecompress.pruning.blocks import Block, remove_blocks
from edgecompress.recipe import Recipe
from edgecompress.techniques.block_hints import block_hints
from edgecompress.training import Hint
from tests.networks import ConvNet, seeded
from tests.techniques.courses import Blocks, course


def _without(net: nn.Module, *numbers: int) -> nn.Module:
    return remove_blocks(net, [Block(name=f"body.{number}", influence=0.0) for number in numbers])


@pytest.mark.parametrize(
    ("gone", "compared"),
    [
        ((), (0, 1, 2, 3)),
        ((1,), (1, 2, 3)),  # what comes out of the place of 1 is what 0 hands on, and does the work of both
        ((1, 2), (2, 3)),
        ((0,), (0, 1, 2, 3)),
        ((3,), (0, 1, 3)),
    ],
)
def test_a_block_before_one_that_left_stands_for_both(gone: tuple[int, ...], compared: tuple[int, ...]) -> None:
    net = seeded(Blocks)
    wanted = tuple(Hint(f"body.{number}", weight=0.5) for number in compared)
    assert block_hints(_without(net, *gone), 0.5, course(net, Recipe())) == wanted


def test_another_teacher_has_blocks_of_its_own() -> None:
    net = seeded(Blocks)
    taught = replace(course(net, Recipe()), teacher=seeded(Blocks, seed=1))
    assert block_hints(net, 0.5, taught) == ()


def test_without_a_weight_or_blocks_there_are_none() -> None:
    for network, weight in ((seeded(Blocks), 0.0), (seeded(ConvNet), 0.5)):
        assert block_hints(network, weight, course(network, Recipe())) == ()
