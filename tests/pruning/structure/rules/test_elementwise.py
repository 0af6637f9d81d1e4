"""Elementwise operators: what meets is removed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS, UNTAGGED
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


SECOND: tuple[tuple[Any, ...], ...] = (
    (),
    (torch.full((4,), 0.25),),
    (torch.tensor([True, False, True, False]), 0.5),
    (torch.full((4,), 0.25), torch.full((4,), 2.0)),
    (torch.float64,),
    (0.5,),
    (0.0, False),
)


@pytest.mark.parametrize("name", [name for name in UNTAGGED if name != "empty_like"])  # which holds anything
def test_untagged_operators_compute_each_element_from_those_at_its_place(name: str) -> None:
    operator = getattr(torch.ops.aten, name)
    if name == "where":
        operator = lambda x, *rest: torch.ops.aten.where(x > 0.2, *rest)  # noqa: E731
    x = torch.tensor([0.1, 0.3, 0.5, 0.7])
    changed = torch.tensor([0.1, 0.4, 0.5, 0.7])
    results = [pair for rest in SECOND if (pair := _both(operator, x, changed, rest)) is not None]
    assert results, "no call of it was tried"
    for before, after in results:
        assert before.shape == x.shape
        others = [0, 2, 3]
        assert torch.equal(before[others].nan_to_num(), after[others].nan_to_num())


def _both(operator: Any, x: Tensor, changed: Tensor, rest: tuple[Any, ...]) -> tuple[Tensor, Tensor] | None:
    try:
        before, after = operator(x.clone(), *rest), operator(changed.clone(), *rest)
    except (RuntimeError, TypeError):  # not for such arguments
        return None
    return (before, after) if isinstance(before, Tensor) else None


@pytest.mark.parametrize(
    "apply",
    [
        lambda y: torch.multiply(torch.subtract(y, 1), 2),
        lambda y: torch.true_divide(y.absolute(), 2),
        lambda y: torch.negative(y).arctan(),
        lambda y: torch.greater(y, 0).to(y.dtype),
        lambda y: y.detach().clone().contiguous(),
        lambda y: y.real.resolve_conj().resolve_neg(),
        lambda y: torch.ops.aten.lift_fresh(torch.ops.aten.lift(y)),
        lambda y: torch.ops.aten.alias_copy(torch.ops.aten.alias(y)),
    ],
)
def test_second_names_and_copies_are_known(apply: Callable[[Tensor], Tensor]) -> None:
    structure = structure_of(lambda x, w, v: apply(x @ w) @ v, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]
