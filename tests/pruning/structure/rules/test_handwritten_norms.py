"""Normalizations in the words of a network's own code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.pruning.structure.patterns import pattern, structure_of


def _centred(y: Tensor) -> Tensor:
    return y - y.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("normalize", "word"),
    [
        (lambda y: y * torch.rsqrt(y.pow(2).mean(1, keepdim=True) + 1e-6), "abcd"),
        (lambda y: y / torch.sqrt(y.square().mean(1, keepdim=True) + 1e-6), "abcd"),
        (lambda y: y * y.pow(2).mean(1, keepdim=True).pow(-0.5), "abcd"),
        (lambda y: _centred(y) / torch.sqrt(_centred(y).pow(2).mean(1, keepdim=True) + 1e-6), "abcd"),
        (lambda y: _centred(y) / (y.std(1, keepdim=True) + 1e-6), "abcd"),
        (lambda y: y / y.norm(dim=1, keepdim=True).clamp_min(1e-6), "abcd"),
        (lambda y: y - 2 * y.mean(1, keepdim=True).neg(), "abcd"),
        (lambda y: y * y.mean(1, keepdim=True), "...."),  # a gate
        (lambda y: y + y.mean(1, keepdim=True), "...."),
        (lambda y: y / y.mean(1, keepdim=True).softmax(1), "...."),
        (lambda y: y.mean(1, keepdim=True) / y, "...."),  # the other way round
        (lambda y: _centred(y) * y.mean(1, keepdim=True), "...."),  # it serves for something else too
    ],
)
def test_channels_may_leave_a_normalization(normalize: Callable[[Tensor], Tensor], word: str) -> None:
    structure = structure_of(lambda x, w, v: normalize(x @ w) @ v, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == [word, word]


def test_another_tensor_is_not_normalized_by_it() -> None:
    structure = structure_of(
        lambda x, w, u, v: ((x @ u) / (x @ w).square().mean(1, keepdim=True)) @ v, (2, 3), w=(3, 4), u=(3, 4), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("u", 1)) == ["....", "abcd"]
