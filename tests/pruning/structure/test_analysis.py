"""From labels to channels: outputs, shared and unused tensors, and axes that only leave in whole rows."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgecompress.pruning.structure.analysis import IS_OUTPUT, IS_UNUSED
from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_outputs_and_inputs_stay() -> None:
    structure = structure_of(lambda x, w, v: (x @ w).relu() @ v, (2, 3), w=(3, 4), v=(4, 5))
    assert pattern(structure, ("w", 0), ("w", 1), ("v", 0), ("v", 1)) == ["...", "abcd", "abcd", "....."]
    assert reasons(structure, "v", 1) == {IS_OUTPUT}


def test_every_output_counts() -> None:
    structure = structure_of(lambda x, w, v: {"a": x @ w, "b": (x @ w).relu() @ v}, (2, 3), w=(3, 4), v=(4, 5))
    assert pattern(structure, ("w", 1)) == ["...."]


def test_a_weight_that_is_used_twice_has_one_labelling() -> None:
    def twice(x: Tensor, u: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return ((x @ u).relu() @ w).relu() @ w @ v

    structure = structure_of(twice, (2, 3), u=(3, 4), w=(4, 4), v=(4, 2))
    assert pattern(structure, ("u", 1), ("w", 0), ("w", 1), ("v", 0)) == ["abcd"] * 4


def test_what_is_not_used_stays_and_says_so() -> None:
    structure = structure_of(lambda x, w, v: x @ w, (2, 3), w=(3, 4), v=(4, 5))
    assert reasons(structure, "v", 0) == reasons(structure, "v", 1) == {IS_UNUSED}


def test_a_tensor_has_no_gaps() -> None:
    def rows(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return functional.linear(functional.linear(x, w).view(2, 2, 3).relu().flatten(1), v)

    structure = structure_of(rows, (2, 4), w=(6, 4), v=(5, 6))
    assert pattern(structure, ("w", 0), ("v", 1)) == ["abcabc", "abcabc"]
