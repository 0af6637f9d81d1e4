"""Residual blocks that leave a network whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.errors import RecipeError
from edgecompress.pruning.blocks import Shortcut, choose_blocks, find_blocks, remove_blocks
from edgecompress.pruning.channels.structured import examine
from tests.networks import ConvNet, seeded


class Block(nn.Module):
    """Adds a branch; ``relu`` behind the sum as in ResNet."""

    def __init__(self, channels: int, *, relu: bool, stride: int = 1) -> None:
        super().__init__()
        self.branch = nn.Conv2d(channels, channels, 3, stride, 1)
        self.project = nn.Conv2d(channels, channels, 1, stride) if stride > 1 else nn.Identity()
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.branch(x) + self.project(x)
        return functional.relu(total) if self.relu else total


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        self.body = nn.Sequential(
            Block(8, relu=True), Block(8, relu=True, stride=2), Block(8, relu=True), Block(8, relu=False)
        )
        self.after = Block(8, relu=True)  # its input went through no ReLU: without its branch it would still be one
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.after(self.body(self.stem(x))).mean((2, 3)))
        return scores


INPUTS = torch.randn(2, 3, 16, 16)


def _net() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


def test_only_blocks_whose_shortcut_is_the_identity_are_found() -> None:
    net = _net()
    found = find_blocks(net, examine(net, (INPUTS,)).structure.program)
    assert [block.name for block in found] == ["body.0", "body.2", "body.3"]


class Wrapped(nn.Module):
    """A block of two sums, as transformers have it: attention and MLP."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.inner = nn.Sequential(Block(channels, relu=False), Block(channels, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = x + self.norm(x)
        summed: Tensor = self.inner(mixed)
        return summed


def test_a_row_of_blocks_is_no_block() -> None:
    torch.manual_seed(0)
    row = nn.Sequential(Block(8, relu=False), Block(8, relu=False), Wrapped(8))
    net = nn.Sequential(nn.Conv2d(3, 8, 3), row, nn.Flatten(), nn.Linear(8 * 14 * 14, 5)).eval()
    found = find_blocks(net, examine(net, (INPUTS,)).structure.program)
    assert [block.name for block in found] == ["1.0", "1.1", "1.2"]


def test_without_blocks_the_network_is_the_one_with_silent_branches() -> None:
    net = _net()
    blocks = find_blocks(net, examine(net, (INPUTS,)).structure.program)
    silent = _net()
    for block in blocks:
        branch = silent.get_submodule(f"{block.name}.branch")
        assert isinstance(branch, nn.Conv2d)
        nn.init.zeros_(branch.weight)
        nn.init.zeros_(branch.bias)  # type: ignore[arg-type]
    smaller = remove_blocks(net, blocks)
    fresh = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(smaller(fresh), silent(fresh))
    assert sum(isinstance(part, Shortcut) for part in smaller.modules()) == 3
    assert isinstance(net.get_submodule("body.0"), Block)


def test_influence_is_the_turn_of_what_goes_through() -> None:
    net = _net()
    nothing = net.get_submodule("body.0.branch")
    assert isinstance(nothing, nn.Conv2d)
    nn.init.zeros_(nothing.weight)
    nn.init.zeros_(nothing.bias)  # type: ignore[arg-type]
    blocks = find_blocks(net, examine(net, (INPUTS,)).structure.program)
    assert blocks[0].influence == pytest.approx(0, abs=1e-6)
    assert min(block.influence for block in blocks[1:]) > 1e-3
    assert choose_blocks(blocks, 0.34) == [blocks[0]]


def test_a_network_without_blocks_is_refused() -> None:
    net = seeded(ConvNet)
    blocks = find_blocks(net, examine(net, (torch.randn(1, 3, 16, 16),)).structure.program)
    assert blocks == ()
    with pytest.raises(RecipeError, match="no residual block"):
        choose_blocks(blocks, 0.5)
