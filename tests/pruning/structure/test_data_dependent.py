"""Sizes that the data decide: what decides them stays, the channels of what they pick leave as they would."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgecompress.pruning.structure.analysis import DECIDES
from edgecompress.pruning.structure.data_dependent import UNBOUNDED, pin_sizes
from tests.pruning.structure.patterns import pattern, reasons, structure_of

Find = Callable[[Tensor, Tensor], Tensor]
FORMS: tuple[tuple[str, Find], ...] = (
    ("nonzero", lambda y, on: y[on.nonzero()[:, 0]]),
    ("nonzero", lambda y, on: y.index_select(0, on.nonzero()[:, 0])),
    ("index", lambda y, on: y[on]),
    ("where", lambda y, on: y[torch.where(on)]),
    ("_unique2", lambda y, on: y[torch.unique(on.long())]),
    ("argwhere", lambda y, on: y[torch.argwhere(on)[:, 0]]),
)


@pytest.mark.parametrize(("operator", "find"), FORMS)
def test_rows_that_the_input_decides_keep_their_channels_apart(operator: str, find: Find) -> None:
    structure = structure_of(lambda x, w, v: find(x @ w, x.sum(1) > 0) @ v, (3, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


@pytest.mark.parametrize(("operator", "find"), FORMS)
def test_channels_that_decide_stay_and_name_the_operator(operator: str, find: Find) -> None:
    def forward(x: Tensor, u: Tensor, w: Tensor, v: Tensor) -> Tensor:
        return find(x @ w, (x @ u).sum(1) > 0) @ v

    structure = structure_of(forward, (3, 3), u=(3, 4), w=(3, 4), v=(4, 2))
    assert reasons(structure, "u", 1) == {DECIDES.format(operator=operator)}
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_a_layer_in_between_decides_in_their_stead() -> None:
    structure = structure_of(
        lambda x, w, s, v: (x @ w)[(x @ w @ s)[:, 0] > 0] @ v, (3, 3), w=(3, 4), s=(4, 1), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("s", 0), ("v", 0)) == ["abcd"] * 3


@pytest.mark.parametrize(
    "find",
    [
        lambda y: y.masked_select(y > 0).sum() * y,
        lambda y: torch.unique(y).sum() * y,
        lambda y: y.repeat_interleave(torch.tensor([1, 0, 1]), 0),
        lambda y: torch.bincount((y > 0).long().flatten()).sum() * y,
    ],
)
def test_channels_that_go_through_an_operator_of_unknown_size_stay(find: Callable[[Tensor], Tensor]) -> None:
    structure = structure_of(lambda x, w: find(x @ w), (3, 3), w=(3, 4))
    (reason,) = reasons(structure, "w", 1)
    assert "whose size depends on the data" in reason


def _count(x: Tensor, most: int) -> int:
    number: int = (x > 0).sum().item()  # type: ignore[assignment]
    torch._check(number >= 0)  # type: ignore[no-untyped-call]
    torch._check(number <= most)  # type: ignore[no-untyped-call]
    return number


@pytest.mark.parametrize(
    ("find", "word"),
    [
        (lambda x, y: y.narrow(1, _count(x, 2), 2).repeat(1, 2), "...."),
        (lambda x, y: y.roll(_count(x, 2), 1), "...."),
        (lambda x, y: y * _count(x, 2), "abcd"),
        (lambda x, y: y[x.sum(1) > 0].unsqueeze(1).flatten(0, 1), "abcd"),
    ],
)
def test_a_number_from_the_data_moves_no_channels(find: Callable[[Tensor, Tensor], Tensor], word: str) -> None:
    structure = structure_of(lambda x, w, v: find(x, x @ w) @ v, (3, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1)) == [word]


class _Sizes(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = x.nonzero()
        return found, torch.cat([found, found]), torch.arange(x.long().sum().clamp(0, 3).item() + 2)


def test_sizes_are_pinned_to_the_largest_that_they_can_be() -> None:
    program = pin_sizes(torch.export.export(_Sizes(), (torch.ones(3, 4),)))
    given = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    assert [tuple(given[name].shape) for name in ("nonzero", "cat", "arange")] == [(12, 2), (24, 2), (UNBOUNDED + 2,)]
    assert all(type(number) is int for name, number in given.items() if name.startswith("sym_size"))
