"""The network with channels held at zero, against the formula written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.pruning.structure.analysis import analyse
from edgecompress.pruning.structure.groups import as_flags, find_groups
from edgecompress.pruning.structure.zeroed_channels import run_with_zeroed


def _zero(network: nn.Module, x: Tensor, units: slice) -> Tensor:
    structure = analyse(torch.export.export(network.eval(), (x,)))
    (group,) = find_groups(structure)
    (output,) = run_with_zeroed(structure, as_flags(structure, group.units[units]))
    return output


def test_a_silenced_channel_is_zero_even_where_the_activation_is_not() -> None:
    network, x = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2)), torch.randn(5, 3)
    first, second = network[0], network[2]
    hidden = torch.sigmoid(first(x))
    hidden[:, 1:3] = 0
    torch.testing.assert_close(_zero(network, x, slice(1, 3)), second(hidden))


def test_a_normalization_takes_the_statistics_of_what_is_left() -> None:
    first, norm, second, x = nn.Linear(3, 6), nn.LayerNorm(6), nn.Linear(6, 2), torch.randn(5, 3)
    nn.init.uniform_(norm.weight)
    left = functional.layer_norm(first(x)[:, 2:], (4,), norm.weight[2:], norm.bias[2:])
    expected = functional.linear(left, second.weight[:, 2:], second.bias)
    torch.testing.assert_close(_zero(nn.Sequential(first, norm, second), x, slice(0, 2)), expected)


def test_so_does_one_that_is_written_out() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            y = (y - y.mean(-1, keepdim=True)) / y.std(-1, keepdim=True)
            return self.second(y)  # type: ignore[no-any-return]

    network, x = Written(), torch.randn(5, 3)
    left = network.first(x)[:, 2:]
    left = (left - left.mean(-1, keepdim=True)) / left.std(-1, keepdim=True)
    expected = functional.linear(left, network.second.weight[:, 2:], network.second.bias)
    torch.testing.assert_close(_zero(network, x, slice(0, 2)), expected)
