"""Sums miss no removed channel; means, extremes and softmaxes do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.pruning.structure.patterns import pattern, reasons, structure_of


def _found(gather: Callable[[Tensor], Tensor], made: int = 4) -> list[str]:
    structure = structure_of(lambda x, w: gather(x @ w), (2, 3), w=(3, made))
    return pattern(structure, ("w", 1))


@pytest.mark.parametrize(
    "gather", [lambda y: y.sum(1), lambda y: y.norm(dim=1), lambda y: torch.linalg.vector_norm(y, 1, dim=1)]
)
def test_a_sum_over_channels_lets_them_go(gather: Callable[[Tensor], Tensor]) -> None:
    assert _found(gather) == ["abcd"]


@pytest.mark.parametrize(
    "gather",
    [
        lambda y: y.mean(1),
        lambda y: y.amax(1),
        lambda y: y.max(1).values,
        lambda y: y.var(1),
        lambda y: y.softmax(1).sum(1),
        lambda y: y.cumsum(1).sum(1),
        lambda y: y.logsumexp(1),
        lambda y: torch.linalg.vector_norm(y, -1, dim=1),
        lambda y: (y * torch.sigmoid(y.mean(1, keepdim=True))).sum(1),
    ],
)
def test_a_statistic_of_channels_keeps_them(gather: Callable[[Tensor], Tensor]) -> None:
    assert _found(gather) == ["...."]


def test_the_reason_names_the_operator() -> None:
    structure = structure_of(lambda x, w: (x @ w).amax(1), (2, 3), w=(3, 4))
    assert reasons(structure, "w", 1) == {"is gathered by amax"}


@pytest.mark.parametrize(
    "pool",
    [
        lambda y: functional.max_pool2d(y, 2),
        lambda y: functional.avg_pool2d(y, 2),
        lambda y: functional.adaptive_avg_pool2d(y, 2),
        lambda y: functional.adaptive_max_pool2d(y, 2),
        lambda y: functional.interpolate(y, scale_factor=2),
        lambda y: functional.interpolate(y, size=7, mode="bicubic"),
        lambda y: y.mean((2, 3), keepdim=True),
        lambda y: y.sum(-1, keepdim=True),
    ],
)
def test_places_are_gathered_and_channels_stay_apart(pool: Callable[[Tensor], Tensor]) -> None:
    structure = structure_of(
        lambda x, w, v: functional.conv2d(pool(functional.conv2d(x, w)), v),
        (2, 3, 4, 4),
        w=(4, 3, 1, 1),
        v=(2, 4, 1, 1),
    )
    assert pattern(structure, ("w", 0), ("v", 1)) == ["abcd", "abcd"]
