"""Every operator has a rule, is elementwise, or keeps its inputs whole and is named."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_an_unknown_operator_keeps_its_inputs_and_is_named() -> None:
    structure = structure_of(lambda x, weight, v: torch.fft.rfft(x @ weight).real @ v, (2, 3), weight=(3, 4), v=(3, 2))
    assert reasons(structure, "weight", 1) == {"goes through fft_rfft, which no rule knows"}


def test_an_unknown_operator_on_inputs_harms_nobody() -> None:
    structure = structure_of(lambda x, w, v: (torch.fft.rfft(x).real @ w).relu() @ v, (2, 4), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_an_assertion_computes_nothing() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        hidden = x @ w
        torch.ops.aten._assert_tensor_metadata(hidden, dtype=torch.float32)
        return hidden @ v

    structure = structure_of(forward, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_one_of_several_results_has_its_own_labels() -> None:
    structure = structure_of(lambda x, w, v, u: (x @ w).split([1, 3], 1)[1] @ v, (2, 3), w=(3, 4), v=(3, 2), u=(1, 1))
    assert pattern(structure, ("w", 1), ("v", 0)) == [".abc", "abc"]
