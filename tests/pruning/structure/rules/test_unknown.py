"""What no rule knows keeps its inputs whole, whatever it returns."""

from __future__ import annotations

from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_of_several_results_none_has_channels_and_all_inputs_stay() -> None:
    structure = structure_of(lambda x, w, v: (x @ w).topk(2, 1).values @ v, (2, 3), w=(3, 4), v=(2, 5))
    assert reasons(structure, "w", 1) == {"goes through topk, which no rule knows"}
    assert pattern(structure, ("v", 0)) == [".."]


def test_a_single_result_is_no_list() -> None:
    structure = structure_of(lambda x, w, v: (x @ w).cumprod(1) @ v, (2, 3), w=(3, 4), v=(4, 2))
    assert reasons(structure, "w", 1) == {"goes through cumprod, which no rule knows"}
