"""Elementwise operators: what meets is removed together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS
from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_operands_of_a_sum_are_removed_together() -> None:
    structure = structure_of(lambda x, u, w, v: (x @ u + (x @ w).tanh()) @ v, (2, 3), u=(3, 4), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["abcd"] * 3


def test_channels_stay_where_they_meet_an_input() -> None:
    structure = structure_of(lambda x, w, v: (x + x @ w) @ v, (2, 3), w=(3, 3), v=(3, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["...", "..."]
    assert reasons(structure, "w", 1) == {MEETS_CONSTANTS}


def test_a_number_meets_nobody() -> None:
    structure = structure_of(lambda x, w, v: (2 * (x @ w) + 1).clamp(0, 6) @ v, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_one_half_gates_the_other() -> None:
    structure = structure_of(lambda x, w, v: functional.glu(x @ w) @ v, (2, 3), w=(3, 6), v=(3, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcabc", "abc"]


def test_slopes_belong_to_their_channels() -> None:
    structure = structure_of(
        lambda x, w, slopes, v: functional.prelu(x @ w, slopes) @ v, (2, 3), w=(3, 4), slopes=(4,), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("slopes", 0), ("v", 0)) == ["abcd"] * 3


def test_one_slope_for_all_channels_stays() -> None:
    structure = structure_of(
        lambda x, w, slope, v: functional.prelu(x @ w, slope) @ v, (2, 3), w=(3, 4), slope=(1,), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("slope", 0)) == ["abcd", "."]


def test_operators_in_place_are_the_same() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        y = (x @ w).relu_()
        y += 1
        return y @ v

    assert pattern(structure_of(forward, (2, 3), w=(3, 4), v=(4, 2)), ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_a_chosen_operand_is_removed_with_the_other() -> None:
    structure = structure_of(
        lambda x, u, w, v: torch.where(x[:, :1] > 0, x @ u, x @ w) @ v, (2, 3), u=(3, 4), w=(3, 4), v=(4, 2)
    )
    assert pattern(structure, ("u", 1), ("w", 1), ("v", 0)) == ["abcd"] * 3
