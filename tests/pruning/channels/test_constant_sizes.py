"""Constants follow what they follow in the network's own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.pruning.channels.structured import FIXED, cut_out, examine
from tests.pruning.oracle import difference, silenced


class _Recurrent(nn.Module):
    """A cell that starts from a constant."""

    def __init__(self, start: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.start, self.width = start, 16
        self.enter, self.cell, self.leave = nn.Linear(3, 16), nn.Linear(32, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.enter(x).relu()
        state = self.start(self, x)
        for _ in range(2):
            state = torch.tanh(self.cell(torch.cat([x, state], 1)))
        return self.leave(state)


def _halved(start: Callable[[Any, Tensor], Tensor]) -> tuple[dict[str, int], list[str], float]:
    """The groups and their units, the layers whose size the code fixes, and how far the pruned network is off."""
    torch.manual_seed(0)
    network = _Recurrent(start).eval()
    subject = examine(network, (torch.randn(2, 3),))
    pruned = cut_out(subject, [unit for group in subject.groups for unit in group.units[::2]])
    off = difference(pruned.model, silenced(network, pruned.removed), (torch.randn(5, 3),))
    fixed = [refusal.name for refusal in pruned.refusals if refusal.reason == FIXED]
    return {group.name: len(group.units) for group in subject.groups}, fixed, off


@pytest.mark.parametrize(
    "start",
    [
        lambda _, x: x * 0,
        lambda _, x: torch.zeros_like(x),
        lambda _, x: x.new_zeros(x.shape),
        lambda _, x: torch.zeros(x.shape),
        lambda _, x: torch.full((len(x), x.shape[1]), 0.5),
        lambda _, x: torch.empty(x.shape[1]).zero_().expand(len(x), -1),
    ],
)
def test_a_constant_in_the_shape_of_a_tensor_follows_it(start: Callable[[Any, Tensor], Tensor]) -> None:
    groups, fixed, off = _halved(start)
    assert (groups, fixed) == ({"enter": 16}, [])
    assert off <= 1e-4


def test_one_in_the_size_of_an_attribute_follows_that() -> None:
    groups, fixed, off = _halved(lambda network, x: torch.zeros(len(x), network.width))
    assert (groups, fixed) == ({"enter": 16, "cell": 16}, [])
    assert off <= 1e-4


def test_one_of_a_written_size_follows_nothing_and_keeps_what_it_meets_alone() -> None:
    groups, fixed, off = _halved(lambda _, x: torch.zeros(len(x), 16))
    assert (groups, fixed) == ({"enter": 16}, [])
    assert off <= 1e-4
