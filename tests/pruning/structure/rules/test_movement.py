"""Operators that move elements: the labels move with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from edgecompress.pruning.structure.analysis import Structure
from edgecompress.pruning.structure.rules.movement import PICKED
from tests.pruning.structure.patterns import pattern, reasons, structure_of


def _between(move: Callable[[Tensor], Tensor], made: int, read: int) -> Structure:
    """Linear layer, a move of its outputs (2, made), linear layer that reads ``read`` of them."""
    return structure_of(lambda x, w, v: move(x @ w) @ v, (2, 3), w=(3, made), v=(read, 2))


@pytest.mark.parametrize(
    ("move", "made", "read"),
    [
        (lambda y: y.flip(1), "abcd", "dcba"),
        (lambda y: y.repeat(1, 2), "abc", "abcabc"),
        (lambda y: y.repeat_interleave(2, 1), "abc", "aabbcc"),
        (lambda y: y.unsqueeze(1).expand(2, 3, 2).flatten(1), "ab", "ababab"),
        (lambda y: torch.cat([y, y.relu()], 1), "ab", "abab"),
        (lambda y: torch.mul(*y.chunk(2, 1)), "abcabc", "abc"),
        (lambda y: torch.cat(y.chunk(2, 1)[::-1], 1), "abab", "abab"),
        (lambda y: torch.cat(y.split([1, 3], 1), 1), ".bcd", ".bcd"),  # a part of one channel cannot lose it
        (lambda y: torch.cat(y.split([2, 2, 1], 1), 1), "abcd.", "abcd."),
        (lambda y: functional.pad(y, (1, 1)), "bcd", "abcda"),
        (lambda y: functional.pad(y, (1, 2)), "bcd", "abcdef"),
        (lambda y: y.view(2, 2, 2).transpose(1, 2).reshape(2, 4), "abab", "aabb"),
        (lambda y: functional.channel_shuffle(y[:, :, None], 2).squeeze(2), "abab", "aabb"),
        (lambda y: y.mT.mT, "abcd", "abcd"),
        (lambda y: y.t().t(), "abcd", "abcd"),
    ],
)
def test_labels_move_with_the_elements(move: Callable[[Tensor], Tensor], made: str, read: str) -> None:
    structure = _between(move, len(made), len(read))
    renamed = {".": "."}
    expected = [renamed.setdefault(letter, chr(ord("a") + len(renamed) - 1)) for letter in made + read]
    assert "".join(pattern(structure, ("w", 1), ("v", 0))) == "".join(expected)


@pytest.mark.parametrize("move", [lambda y: y[:, 1:3], lambda y: y[:, :1], lambda y: y.select(1, 2)[:, None]])
def test_what_is_picked_by_its_index_keeps_its_place(move: Callable[[Tensor], Tensor]) -> None:
    read = 2 if move(torch.zeros(2, 5)).shape[1] == 2 else 1
    structure = _between(move, 5, read)
    assert PICKED in reasons(structure, "w", 1)


@pytest.mark.parametrize(
    "move",
    [
        lambda y: y[:, :4],
        lambda y: y[..., :4],
        lambda y: y[...],
        lambda y: y[:, :, None][:, :, 0],
        lambda y: y.narrow(1, 0, 4),
        lambda y: torch.slice_copy(y, 1, 0, 4),
        lambda y: y.expand(2, 4),
        lambda y: y.broadcast_to((2, 4)),
        lambda y: y.tile(1, 1),
        lambda y: y.ravel().view(2, 4),
        lambda y: torch.atleast_3d(y).squeeze(2),  # type: ignore[no-untyped-call]
        lambda y: y.unsafe_chunk(1, 1)[0],
        lambda y: y.hsplit(1)[0],
        lambda y: torch.rot90(y, 4),
        lambda y: y.swapdims(0, 1).moveaxis(0, 1),
        lambda y: y.roll(0, 1),
    ],
)
def test_what_takes_all_changes_nothing(move: Callable[[Tensor], Tensor]) -> None:
    assert pattern(_between(move, 4, 4), ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_equal_parts_stay_equal_whatever_makes_them() -> None:
    structure = _between(lambda y: torch.hstack(y.hsplit(2)), 4, 4)
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abab", "abab"]


def test_what_moves_by_the_numbers_in_a_tensor_stays() -> None:
    structure = _between(lambda y: y.repeat_interleave(torch.tensor([1, 2, 1, 1]), 1, output_size=5), 4, 5)
    assert reasons(structure, "w", 1) == {"goes through repeat_interleave, which no rule knows"}


def test_subpixels_leave_with_their_channel() -> None:
    structure = structure_of(
        lambda x, w, v: functional.conv2d(functional.pixel_shuffle(functional.conv2d(x, w), 2), v),
        (2, 3, 4, 4),
        w=(8, 3, 1, 1),
        v=(5, 2, 1, 1),
    )
    assert pattern(structure, ("w", 0), ("v", 1)) == ["aaaabbbb", "ab"]


def test_a_shuffle_of_single_channels_keeps_its_rows() -> None:
    structure = _between(lambda y: functional.channel_shuffle(y[:, :, None], 4).squeeze(2), 4, 4)
    assert reasons(structure, "w", 1) == {"is a row of a channel shuffle"}
