"""An exact share of weights to prune: the smallest, or random ones; of each tensor, or of all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe.arguments import check_seed, number
from edgecompress.recipe.meant import text_as_meant

Scope = Literal["local", "global"]
"""Whether the share is of each tensor, or of all tensors together."""

_ZERO = -1.0
_PRUNED = -2.0


def magnitude_scores(weight: Tensor, keep: Tensor) -> Tensor:
    """The magnitude of every weight, float32 or float64; what ``keep`` has pruned already scores below zero."""
    wide = weight.dtype if weight.dtype == torch.float64 else torch.float32
    return weight.detach().to(wide).abs().masked_fill(~keep, _PRUNED)


def random_scores(weight: Tensor, keep: Tensor, generator: torch.Generator) -> Tensor:
    """A uniform draw for every weight; zeros score below, and what ``keep`` has pruned lower still.

    The generator is one of the CPU, so that a seed gives the same mask on every device.
    """
    draws = torch.rand(weight.shape, generator=generator).to(weight.device)
    return draws.masked_fill(weight.detach() == 0, _ZERO).masked_fill(~keep, _PRUNED)


def keep_highest(scores: Sequence[Tensor], sparsity: float, scope: Scope) -> list[Tensor]:
    """What to keep when a share of the scored elements goes, the lowest first.

    Exactly ``round(sparsity * numel)`` elements go, of each tensor or (``global``) of all together, whatever their
    number. Of equal scores the first in row-major order go. Under ``global`` a whole tensor can go.

    Returns:
        A bool tensor for each of the scores, in its shape.

    >>> keep_highest([torch.tensor([3.0, 1.0, 2.0, 1.0])], 0.25, "local")
    [tensor([ True, False,  True,  True])]
    """
    if scope == "local":
        return [~_lowest(score.flatten(), round(sparsity * score.numel())).view(score.shape) for score in scores]
    flat = torch.cat([score.flatten().to(scores[0].device) for score in scores])
    parts = torch.split(~_lowest(flat, round(sparsity * flat.numel())), [score.numel() for score in scores])
    return [part.view(score.shape) for part, score in zip(parts, scores, strict=True)]


def check_sparsity(value: Any) -> float:
    """A share of weights to prune.

    Raises:
        RecipeError: it is no number in [0, 1).

    >>> check_sparsity(1)
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: sparsity is 1; give a number from 0 up to, but not including, 1
    """
    value = text_as_meant("pruning.amount", value)
    return number("sparsity", value, lambda share: 0 <= share < 1, "give a number from 0 up to, but not including, 1")


def check_scope(value: Any) -> Scope:
    """Where the share counts.

    Raises:
        RecipeError: it is neither ``local`` nor ``global``.
    """
    for scope in get_args(Scope):
        if value == scope:
            return scope  # type: ignore[no-any-return]
    raise RecipeError(f"unknown scope {value!r}; give 'local' or 'global'{nearest(str(value), get_args(Scope))}")


def seeded_generator(seed: Any) -> torch.Generator:
    """A generator of the CPU.

    Raises:
        RecipeError: the seed is no whole number in [0, 2^63).
    """
    return torch.Generator().manual_seed(check_seed(seed))


def _lowest(scores: Tensor, count: int) -> Tensor:
    """Mask of the ``count`` lowest values of a flat tensor; of those that tie at the end, the first ones."""
    if count == 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    threshold = torch.kthvalue(scores, count).values
    lowest = scores < threshold
    ties = torch.nonzero(scores == threshold).flatten()
    lowest[ties[: count - int(lowest.sum())]] = True
    return lowest
