"""Groups: units by the places in which they lie, named after the layer that makes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.pruning.structure.analysis import Structure, analyse
from edgecompress.pruning.structure.groups import (
    as_flags,
    find_groups,
    find_refusals,
    joined_units,
    kept_by_axis,
    removed_from,
)


def _structure(network: nn.Module, *shape: int) -> Structure:
    return analyse(torch.export.export(network.eval(), (torch.randn(shape),)))


def test_a_group_has_its_members_and_the_name_of_the_first_layer() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    (group,) = find_groups(_structure(network, 2, 3))
    assert (group.name, len(group.units), group.width) == ("1", 4, 1)
    places = {"1.weight": 0, "1.bias": 0, "2.weight": 0, "2.bias": 0, "2.running_mean": 0, "2.running_var": 0}
    assert set(group.members) == {*places.items(), ("3.weight", 1)}


def test_a_unit_that_is_flattened_is_as_wide_as_its_places() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    (group,) = find_groups(_structure(network, 2, 3, 4, 4))
    assert (group.name, len(group.units), group.width) == ("0", 4, 4)


def test_a_transposed_convolution_makes_its_second_axis() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 6, 2, bias=False), nn.Conv2d(6, 2, 1))
    first, second = find_groups(_structure(network, 2, 3, 4, 4))
    assert (first.name, len(first.units)) == ("0", 4)
    assert (second.name, second.members) == ("1", (("1.weight", 1), ("2.weight", 1)))


def test_the_channels_that_an_addition_joins() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner, self.back, self.head = (
                nn.Linear(*sizes) for sizes in ((3, 4), (4, 5), (5, 4), (4, 2))
            )

        def forward(self, x: Tensor) -> Any:
            hidden = self.stem(x)
            return self.head(hidden + self.back(self.inner(hidden + 1)))

    structure = _structure(Residual(), 2, 3)
    stream, inner = find_groups(structure)
    assert (stream.name, inner.name) == ("stem", "inner")
    assert joined_units(structure) == set(stream.units)
    assert joined_units(_structure(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), 2, 3)) == set()


def test_refusals_name_layers_and_count_channels() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1), nn.Linear(4, 2))
    refused = {refusal.name: refusal.reason for refusal in find_refusals(_structure(network, 2, 3))}
    assert refused == {
        "0": "4 channels stay: each is mixed by softmax",
        "2": "2 channels stay: each is an output of the network",
    }


def test_channels_that_hang_together_are_named() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Any:
            hidden = self.first(x)
            return self.second(hidden + hidden.roll(1, 1))

    structure = _structure(Shared(), 2, 3)
    assert find_groups(structure) == ()
    assert {refusal.name: refusal.reason for refusal in find_refusals(structure)} == {
        "first": "4 channels stay: they can only be removed all at once",
        "second": "2 channels stay: each is an output of the network",
    }


def test_removed_indices_are_those_of_the_units() -> None:
    structure = _structure(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), 2, 3)
    (group,) = find_groups(structure)
    units = [group.units[1], group.units[3]]
    removed = removed_from(structure, units)
    assert {name: {axis: at.tolist() for axis, at in axes.items()} for name, axes in removed.items()} == {
        "0.weight": {0: [1, 3]},
        "0.bias": {0: [1, 3]},
        "2.weight": {1: [1, 3]},
    }
    kept = kept_by_axis(structure.tensors["0.bias"], as_flags(structure, units))
    assert kept[0].tolist() == [True, False, True, False]
