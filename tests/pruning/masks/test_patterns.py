"""An N:M pattern holds in every block, and keeps the largest of each."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgecompress.errors import RecipeError
from edgecompress.pruning.masks.patterns import check_pattern, keep_pattern


@st.composite
def patterns(draw: st.DrawFn) -> tuple[Tensor, int, int, int]:
    """Scores with ties, a pattern and an axis."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    levels = draw(st.sampled_from([1, 3, 10**6]))
    scores = torch.randint(0, levels, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 2**32))))
    m = draw(st.integers(1, 8))
    return scores.float(), draw(st.integers(1, m)), m, draw(st.integers(0, len(shape) - 1))


@given(patterns())
def test_every_block_keeps_its_n_largest(pattern: tuple[Tensor, int, int, int]) -> None:
    scores, n, m, axis = pattern
    keep = keep_pattern(scores, n, m, axis=axis)
    assert keep.shape == scores.shape
    for block, kept in zip(scores.split(m, axis), keep.split(m, axis), strict=True):  # type: ignore[no-untyped-call]
        assert (kept.sum(axis) == min(n, block.shape[axis])).all()
        least = block.masked_fill(~kept, torch.inf).amin(axis)
        assert (least >= block.masked_fill(kept, -torch.inf).amax(axis)).all()


@given(patterns(), st.integers(1, 3))
def test_blocks_do_not_straddle_groups(pattern: tuple[Tensor, int, int, int], groups: int) -> None:
    scores, n, m, axis = pattern
    together = keep_pattern(torch.cat([scores] * groups, axis), n, m, axis=axis, stretches=groups)
    assert torch.equal(together, torch.cat([keep_pattern(scores, n, m, axis=axis)] * groups, axis))


def test_a_weight_without_inputs_stays_empty() -> None:
    assert keep_pattern(torch.zeros(3, 0), 2, 4).shape == (3, 0)


@pytest.mark.parametrize(("n", "m"), [(4, 2), (0, 4), (-1, 4), (0, 0), (2.0, 4), (True, 4), ("2", "4"), (None, 4)])
def test_an_impossible_pattern_is_refused(n: Any, m: Any) -> None:
    with pytest.raises(RecipeError, match="the pattern") as caught:
        check_pattern(n, m)
    assert str(caught.value) == (
        f"the pattern {n!r}:{m!r} keeps {n!r} of every {m!r}; give whole numbers with 1 <= n <= m"
    )


def test_a_pattern_that_keeps_all_is_possible() -> None:
    assert check_pattern(4, 4) == (4, 4)
    assert keep_pattern(torch.zeros(2, 6), 4, 4).all()
