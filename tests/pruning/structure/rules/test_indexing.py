"""Rows that are read and written by their indices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from edgecompress.pruning.structure.rules.indexing import INDEXES
from edgecompress.pruning.structure.rules.movement import PICKED
from tests.pruning.structure.patterns import pattern, reasons, structure_of

ROWS = torch.tensor([2, 0, 1])


@pytest.mark.parametrize(
    "pick",
    [
        lambda y: y[ROWS],
        lambda y: y[ROWS.view(3, 1)],
        lambda y: y[[0, 0]],
        lambda y: y[torch.tensor([True, False, True])],
        lambda y: y.index_select(0, ROWS),
        lambda y: y[:, ROWS],
        lambda y: y[ROWS, ROWS],
        lambda y: y[torch.ones(3, 3, dtype=torch.bool)],
        lambda y: y[:, :, torch.arange(4)],
        lambda y: y.index_select(2, torch.arange(0, 4)),
        lambda y: y.transpose(1, 2)[ROWS, :, ROWS],
    ],
)
def test_channels_along_other_axes_stay_apart(pick: Callable[[Tensor], Tensor]) -> None:
    structure = structure_of(lambda x, w, v: pick(x @ w) @ v, (3, 3, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


@pytest.mark.parametrize(
    "pick",
    [
        lambda y: y[:, torch.tensor([0, 1, 2, 3])],
        lambda y: y[:, torch.arange(3, -1, -1)],
        lambda y: y.index_select(1, torch.arange(4) % 2),
        lambda y: y[ROWS, ROWS],
    ],
)
def test_channels_that_are_picked_by_their_index_stay(pick: Callable[[Tensor], Tensor]) -> None:
    structure = structure_of(lambda x, w: pick(x @ w), (3, 3), w=(3, 4))
    assert PICKED in reasons(structure, "w", 1)


@pytest.mark.parametrize(
    "write",
    [
        lambda y, z: y.index_put((ROWS,), z),
        lambda y, z: y.index_put((torch.tensor([True, True, True]),), z, accumulate=True),
        lambda y, z: torch.ops.aten.index_put(y, [None, ROWS], z),
        lambda y, z: y.index_add(0, ROWS, z),
        lambda y, z: y.index_copy(1, ROWS, z),
    ],
)
def test_what_is_written_leaves_with_what_it_is_written_to(write: Callable[[Tensor, Tensor], Tensor]) -> None:
    structure = structure_of(lambda x, u, w, v: write(x @ u, x @ w) @ v, (3, 3, 3), u=(3, 4), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["abcd"] * 3


def test_what_is_written_to_fixed_channels_stays() -> None:
    structure = structure_of(lambda x, w, v: x.index_put((ROWS,), x @ w) @ v, (3, 4), w=(4, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["....", "...."]


def test_indices_that_channels_decide_keep_these() -> None:
    structure = structure_of(lambda x, w, v: x[:, (x @ w).argsort(1)].sum((0, 1)) @ v, (3, 4), w=(4, 4), v=(4, 2))
    assert pattern(structure, ("w", 1)) == ["...."]
    structure = structure_of(lambda x, w: x[((x @ w) > 0).long()], (3, 4), w=(4, 4))
    assert reasons(structure, "w", 1) == {INDEXES}
