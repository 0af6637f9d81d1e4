"""N:M patterns: of every m weights that follow each other along a layer's inputs, at most n are kept."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import is_whole


def keep_pattern(scores: Tensor, n: int, m: int, *, axis: int = 1, stretches: int = 1) -> Tensor:
    """The ``n`` highest of every ``m`` elements along an axis; of equal scores the first are kept.

    A remainder of ``r < m`` elements is padded with zeros, as a kernel for the pattern does: ``min(n, r)`` of it are
    kept. So a depthwise convolution, whose outputs read one channel each, keeps all of its weights.

    Args:
        scores: finite.
        n: kept of ``m``.
        m: length of a block.
        axis: the inputs that an output adds up.
        stretches: equal parts of that axis which blocks do not straddle: the groups of a transposed convolution.

    Returns:
        bool, in the shape of ``scores``.

    >>> keep_pattern(torch.tensor([[4.0, 1.0, 3.0, 2.0, 9.0]]), 2, 4)
    tensor([[ True, False,  True, False,  True]])
    """
    rows = scores.movedim(axis, -1)
    length = rows.shape[-1] // stretches
    padded = pad(rows.reshape(*rows.shape[:-1], stretches, length), (0, -length % m), value=-math.inf)
    blocks = padded.reshape(*padded.shape[:-1], padded.shape[-1] // m, m)
    order = blocks.argsort(dim=-1, descending=True, stable=True)
    keep = torch.zeros_like(blocks, dtype=torch.bool).scatter(-1, order[..., :n], value=True)
    return keep.flatten(-2)[..., :length].flatten(-2).movedim(-1, axis).contiguous()


def check_pattern(n: Any, m: Any) -> tuple[int, int]:
    """The two numbers of a pattern.

    Raises:
        RecipeError: they are no whole numbers with 1 <= n <= m.

    >>> check_pattern(4, 2)
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: the pattern 4:2 keeps 4 of every 2; give whole numbers with 1 <= n <= m
    """
    if not is_whole(n) or not is_whole(m) or not 1 <= n <= m:
        raise RecipeError(f"the pattern {n!r}:{m!r} keeps {n!r} of every {m!r}; give whole numbers with 1 <= n <= m")
    return int(n), int(m)
