"""Constants of one value: they leave with what they meet, and hold nothing up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from edgecompress.pruning.structure.rules.constants import is_constant
from tests.pruning.structure.patterns import pattern, reasons, structure_of

CONSTANTS: tuple[Callable[[Tensor], Tensor], ...] = (
    torch.zeros_like,
    torch.ones_like,
    lambda y: torch.full_like(y, 3.0),
    lambda y: y.new_zeros(y.shape),
    lambda y: y.new_ones(y.shape),
    lambda y: y.new_full(y.shape, 2.0),
    lambda y: torch.zeros(y.shape),
    lambda y: torch.ones(2, 4),
    lambda y: torch.full(y.shape, 0.5),
    lambda y: torch.zeros(4),
    lambda y: torch.empty(y.shape).zero_(),
    lambda y: torch.empty(4).fill_(2.0),
    lambda y: torch.zeros(y.shape, dtype=torch.bool),
)


@pytest.mark.parametrize("make", CONSTANTS)
def test_a_constant_leaves_with_what_it_meets(make: Callable[[Tensor], Tensor]) -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        y = x @ w
        return (y + make(y)) @ v

    assert pattern(structure_of(forward, (2, 3), w=(3, 4), v=(4, 2)), ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_a_constant_next_to_the_channels_is_read_by_weights_of_its_own() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        y = x @ w
        return torch.cat([y, torch.zeros(y.shape)], 1) @ v

    structure = structure_of(forward, (2, 3), w=(3, 4), v=(8, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcdefgh"]


def test_one_in_the_shape_of_channels_is_theirs() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        y = x @ w
        return torch.cat([y, torch.zeros_like(y)], 1) @ v

    structure = structure_of(forward, (2, 3), w=(3, 4), v=(8, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcdabcd"]


def test_a_fill_of_a_part_is_not_followed() -> None:
    def forward(x: Tensor, w: Tensor) -> Tensor:
        y = x @ w
        y[:, :2].zero_()
        return y

    assert reasons(structure_of(forward, (2, 3), w=(3, 4)), "w", 1) == {"goes through zero, which no rule knows"}


def test_one_that_meets_an_input_stays() -> None:
    structure = structure_of(lambda x, w: (x + torch.zeros(2, 3)) @ w, (2, 3), w=(3, 4))
    assert pattern(structure, ("w", 0)) == ["..."]


def test_tensors_of_many_values_and_indices_are_no_constants() -> None:
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x @ w + torch.arange(4.0) + torch.zeros(4, dtype=torch.long)

    structure = structure_of(forward, (2, 3), w=(3, 4))
    assert not any(is_constant(node) for node in structure.values)
    assert reasons(structure, "w", 1) == {"meets values that cannot be removed"}
