"""Exactly the share that was asked for goes, the lowest first, whatever the size, the ties and the type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune

from edgecompress.errors import RecipeError
from edgecompress.pruning.masks.sparsity import (
    check_scope,
    check_sparsity,
    keep_highest,
    magnitude_scores,
    random_scores,
    seeded_generator,
)

SHARES = st.floats(0, 1, exclude_max=True)
DTYPES = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])


@st.composite
def weights(draw: st.DrawFn) -> Tensor:
    """Of any small shape and type; a few levels make ties, which include zeros of both signs."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    levels = draw(st.sampled_from([0, 1, 3, 10**6]))
    return (torch.randint(-levels, levels + 1, shape, generator=generator) / 7).to(draw(DTYPES))


def _everything(weight: Tensor) -> Tensor:
    return torch.ones_like(weight, dtype=torch.bool)


def _magnitudes(*several: Tensor) -> list[Tensor]:
    return [magnitude_scores(weight, _everything(weight)) for weight in several]


def _pruned(keep: list[Tensor]) -> list[int]:
    return [int((~each).sum()) for each in keep]


@given(weights(), SHARES)
def test_exactly_the_share_goes_and_nothing_larger(weight: Tensor, sparsity: float) -> None:
    (keep,) = keep_highest(_magnitudes(weight), sparsity, "local")
    assert keep.shape == weight.shape
    assert _pruned([keep]) == [round(sparsity * weight.numel())]
    if keep.any() and not keep.all():
        assert weight[keep].abs().min() >= weight[~keep].abs().max()


@given(st.lists(weights(), min_size=1, max_size=4), SHARES)
def test_a_global_share_is_of_all_together(several: list[Tensor], sparsity: float) -> None:
    keep = keep_highest(_magnitudes(*several), sparsity, "global")
    assert sum(_pruned(keep)) == round(sparsity * sum(weight.numel() for weight in several))
    kept = torch.cat([weight[each].double().abs() for weight, each in zip(several, keep, strict=True)])
    gone = torch.cat([weight[~each].double().abs() for weight, each in zip(several, keep, strict=True)])
    if len(kept) and len(gone):
        assert kept.min() >= gone.max()


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), SHARES)
def test_without_ties_the_choice_is_pytorch_s(seed: int, rows: int, columns: int, sparsity: float) -> None:
    layer = nn.Linear(columns, rows)
    distinct = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(seed)) + 1.0
    with torch.no_grad():
        layer.weight.copy_(distinct.view(rows, columns))
    (keep,) = keep_highest(_magnitudes(layer.weight), sparsity, "local")
    prune.l1_unstructured(layer, "weight", amount=sparsity)  # type: ignore[no-untyped-call]
    assert torch.equal(keep, layer.weight_mask.bool())  # type: ignore[operator]


def test_without_ties_the_global_choice_is_pytorch_s() -> None:
    torch.manual_seed(0)
    layers: list[nn.Linear | nn.Conv2d] = [nn.Linear(30, 20), nn.Conv2d(3, 8, 3), nn.Linear(7, 5)]
    keep = keep_highest(_magnitudes(*(layer.weight for layer in layers)), 0.37, "global")
    prune.global_unstructured([(each, "weight") for each in layers], prune.L1Unstructured, amount=0.37)
    for layer, each in zip(layers, keep, strict=True):
        assert torch.equal(each, layer.weight_mask.bool())  # type: ignore[operator]


def test_a_tensor_that_quantile_refuses_is_exact() -> None:
    size = 2**24 + 3
    weight = torch.randint(0, 1000, (size,), generator=torch.Generator().manual_seed(0)).float()
    with pytest.raises(RuntimeError, match="too large"):
        weight.quantile(0.5)
    keep = keep_highest(_magnitudes(weight), 0.7, "local")
    assert _pruned(keep) == [round(0.7 * size)]
    assert weight[keep[0]].min() >= weight[~keep[0]].max()


@given(weights(), SHARES, SHARES)
def test_a_second_share_contains_the_first(weight: Tensor, first: float, second: float) -> None:
    (before,) = keep_highest(_magnitudes(weight), first, "local")
    (after,) = keep_highest([magnitude_scores(weight * before, before)], second, "local")
    assert _pruned([after & before]) == [max(round(first * weight.numel()), round(second * weight.numel()))]


@given(weights(), SHARES, SHARES, st.integers(0, 2**32))
def test_a_random_share_contains_what_is_zero(weight: Tensor, first: float, second: float, seed: int) -> None:
    (before,) = keep_highest(_magnitudes(weight), first, "local")
    scores = random_scores(weight * before, before, seeded_generator(seed))
    (after,) = keep_highest([scores], second, "local")
    count = round(second * weight.numel())
    assert _pruned([after]) == [count]
    zeros = int((weight * before == 0).sum())
    assert int((after & (weight * before != 0)).sum()) == weight.numel() - max(count, zeros)
    assert _pruned([after & before]) == [max(round(first * weight.numel()), count)]


def test_random_is_the_seed_s_alone() -> None:
    weight = torch.ones(50, 50)
    draws = [random_scores(weight, _everything(weight), seeded_generator(seed)) for seed in (3, 3, 4)]
    keep = keep_highest(draws, 0.5, "local")
    assert torch.equal(keep[0], keep[1])
    assert not torch.equal(keep[0], keep[2])
    # Of 50 rows, each a draw of 50 with a deviation of 2.5 or so, none is far from half.
    assert (keep[0].sum(1) - 25).abs().max() < 5 * math.sqrt(50) / 2


def test_of_ties_the_first_go() -> None:
    (keep,) = keep_highest(_magnitudes(torch.tensor([[1.0, 2.0], [-1.0, 1.0]])), 0.5, "local")
    assert keep.tolist() == [[False, True], [False, True]]


def test_types_are_compared_by_value() -> None:
    # 1 + 2^-30 is 1 in float32: only float64 tells it from 1.
    wide = torch.tensor([1 + 2.0**-30, 1 + 2.0**-29], dtype=torch.float64)
    keep = keep_highest(_magnitudes(wide, torch.tensor([1.0], dtype=torch.bfloat16)), 1 / 3, "global")
    assert [each.tolist() for each in keep] == [[True, True], [False]]


@pytest.mark.parametrize("value", [0, 0.0, 0.5, "0.5", np.float32(0.5), np.float64(0.25)])
def test_a_share_is_a_number_below_one(value: Any) -> None:
    assert check_sparsity(value) == float(value)


@pytest.mark.parametrize("value", [1, 1.0, -0.1, 2, 10**400, math.nan, math.inf, True, False, "half", None, [0.5], 1j])
def test_everything_else_is_refused(value: Any) -> None:
    with pytest.raises(RecipeError, match=r"^sparsity is .*; give a number from 0 up to, but not including, 1$"):
        check_sparsity(value)


def test_an_unknown_scope_is_refused() -> None:
    assert check_scope("global") == "global"
    with pytest.raises(RecipeError, match="unknown scope 'globl'; give 'local' or 'global'; did you mean 'global'"):
        check_scope("globl")
    with pytest.raises(RecipeError, match="unknown scope None"):
        check_scope(None)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "0", None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(RecipeError, match=r"^seed is "):
        seeded_generator(seed)
