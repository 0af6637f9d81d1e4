"""Surgery on modules: tensors, the sizes that layers repeat, and the attributes that code reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.pruning.structure.analysis import analyse
from edgecompress.pruning.structure.groups import as_flags, find_groups
from edgecompress.pruning.structure.surgery import remove, resize_attributes


def _without_first(network: nn.Module, *shape: int) -> Any:
    """The network without the first two units of every group."""
    structure = analyse(torch.export.export(network.eval(), (torch.randn(shape),)))
    units = [unit for group in find_groups(structure) for unit in group.units[:2]]
    return remove(network, structure, as_flags(structure, units))


def test_layers_say_their_new_sizes() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.GroupNorm(8, 8),
        nn.ConvTranspose2d(8, 6, 2, bias=False),
        nn.InstanceNorm2d(6, affine=True),
        nn.Conv2d(6, 4, 1),
    )
    conv, norm, prelu, depthwise, groups, up, instance, last = _without_first(network, 2, 3, 4, 4)
    assert (conv.in_channels, conv.out_channels, norm.num_features, prelu.num_parameters) == (3, 6, 6, 6)
    assert (depthwise.in_channels, depthwise.out_channels, depthwise.groups) == (6, 6, 6)
    assert (groups.num_groups, groups.num_channels) == (6, 6)
    assert (up.in_channels, up.out_channels, instance.num_features) == (6, 4, 4)
    assert (last.in_channels, last.out_channels) == (4, 4)


def test_normalizations_and_linear_layers_say_theirs() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.Linear(8, 6), nn.RMSNorm(6), nn.Linear(6, 4))
    first, layer, second, rms, last = _without_first(network, 2, 3)
    assert (first.out_features, layer.normalized_shape, second.in_features) == (6, (6,), 6)
    assert (second.out_features, rms.normalized_shape, last.in_features, last.out_features) == (4, (4,), 4, 4)


def test_parameters_stay_parameters_and_buffers_stay_buffers() -> None:
    first = nn.Linear(3, 4)
    first.weight.requires_grad_(False)
    network = nn.Sequential(first, nn.BatchNorm1d(4), nn.Linear(4, 2))
    smaller = _without_first(network, 2, 3)
    assert [parameter.requires_grad for parameter in smaller.parameters()] == [False, *[True] * 5]
    assert smaller.state_dict().keys() == network.state_dict().keys()
    assert smaller[1].running_mean.shape == (2,)
    assert torch.equal(smaller[0].weight, first.weight[2:])


class _Rows(nn.Module):
    """Channels in rows, read by columns."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 4

    def forward(self, x: Tensor) -> Tensor:
        batch, channels = x.shape
        return x.view(batch, self.rows, channels // self.rows).transpose(1, 2).reshape(batch, channels)


def test_each_module_can_mean_another_of_its_sizes() -> None:
    # Both are 4 by 4. The first loses columns, which it computes; the second reads them as rows, which it has as 4.
    network = nn.Sequential(nn.Linear(3, 16), _Rows(), _Rows(), nn.Linear(16, 2))
    structure = analyse(torch.export.export(network.eval(), (torch.randn(2, 3),)))
    (group,) = find_groups(structure)
    gone = as_flags(structure, group.units[:1])
    candidates: list[Any] = list(resize_attributes(remove(network, structure, gone), structure, gone))
    assert {(candidate[1].rows, candidate[2].rows) for candidate in candidates} == {(3, 3), (3, 4), (4, 3), (4, 4)}
