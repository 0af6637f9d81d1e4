"""Several tensors in one, and several in one shape."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.pruning.structure.patterns import pattern, reasons, structure_of


@pytest.mark.parametrize("join", [torch.hstack, torch.column_stack, lambda both: torch.concat(both, -1)])
def test_channels_lie_side_by_side(join: Callable[[list[Tensor]], Tensor]) -> None:
    structure = structure_of(lambda x, u, w, v: join([x @ u, x @ w]) @ v, (2, 3), u=(3, 2), w=(3, 3), v=(5, 2))
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["ab", "cde", "abcde"]


@pytest.mark.parametrize("join", [torch.vstack, torch.row_stack, torch.cat])
def test_across_they_are_removed_together(join: Callable[[list[Tensor]], Tensor]) -> None:
    structure = structure_of(lambda x, u, w, v: join([x @ u, x @ w]) @ v, (2, 3), u=(3, 4), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["abcd"] * 3


def test_the_third_axis_can_be_that_of_the_channels() -> None:
    structure = structure_of(
        lambda x, u, w, v: torch.dstack([x @ u, x @ w]) @ v, (1, 2, 3), u=(3, 2), w=(3, 3), v=(5, 2)
    )
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["ab", "cde", "abcde"]


def test_vectors_that_become_rows_stay() -> None:
    structure = structure_of(lambda x, a, b: x @ torch.vstack([a, b]).mT, (2, 4), a=(4,), b=(4,))
    assert reasons(structure, "a", 0) == {"goes through vstack, which no rule knows"}


def test_a_stack_keeps_its_own_axis_whole() -> None:
    structure = structure_of(
        lambda x, u, w, v: torch.stack([x @ u, x @ w]).sum(0) @ v, (2, 3), u=(3, 4), w=(3, 4), v=(4, 2)
    )
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["abcd"] * 3


def test_tensors_of_one_shape_keep_their_channels() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        wide, rows = torch.ops.aten.broadcast_tensors([x @ w, x[:, :1]])
        result: Tensor = (wide * rows) @ v
        return result

    structure = structure_of(forward, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["....", "...."]

    structure = structure_of(
        lambda x, w, v: torch.ops.aten.broadcast_tensors([x @ w, x[:, :1]])[0] @ v, (2, 3), w=(3, 4), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]
