"""A student that is derived from its teacher: fewer blocks and narrower layers, as fast as the budgets ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from edgecompress.errors import RecipeError
from edgecompress.pruning.blocks import Block, remove_blocks
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import tensors
from edgecompress.step import Refusal
from edgecompress.techniques.choices import chosen_once
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import as_artifact, cut, examine_network, exported, samples_of, time_models
from edgecompress.techniques.shallow import least_noise_first
from edgecompress.timing.latency import Latency
from edgecompress.training.checkpoint import fingerprint

NO_LATENCY_BUDGET = (
    "a student is derived to meet a latency budget; give a teacher (--teacher), or set budgets.min_speedup=2"
)
MARGIN = 0.95
"""The share of the latency budget that is aimed at: the artifact is measured anew, on a machine with its own noise."""
DEPTHS = 5
"""How many numbers of removed blocks are tried, from none to all."""
NARROWEST = 4
"""The smallest multiple of channels that is come to; a larger one is halved where it lets no student be fast enough."""

TOO_SLOW = "no student is fast enough for the latency budgets"
LOOSEN = "loosen the budgets, or lower 'pruning.multiple'"


@dataclass(frozen=True, kw_only=True)
class Student:
    """A smaller network, what was left whole in it, and the multiple of channels that its layers keep."""

    model: nn.Module
    refusals: tuple[Refusal, ...]
    multiple: int

    @property
    def parameters(self) -> int:
        """How many it has left."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def slow(self) -> bool:
        """Whether it misses the latency that was aimed at."""
        return any(refusal.kind == "goal" for refusal in self.refusals)


def derives_student(recipe: Recipe, teacher: nn.Module | None) -> bool:
    """Whether a student is derived: no teacher was given, and no technique changes the network first.

    >>> derives_student(Recipe(), None)
    False
    """
    return teacher is None and recipe.techniques[:1] == ("distillation",)


def derive_student(teacher: nn.Module, context: Context) -> Student:
    """The student with the most parameters among those that are fast enough.

    Each candidate loses some residual blocks, first those that change the outputs least when they go alone, and then
    as many channels, as the ``pruning`` table says, as ONNX Runtime's latency asks for. Before they learn, all are
    far from their teacher, and how far says little; what they can learn in the end grows with the parameters that they
    have. (Of two students of ResNet-20 that were as fast as each other, one with 177,000 parameters reached 85.4 %, one
    with 105,000 and more multiply-accumulates 84.0 %.)

    Layers keep multiples of ``pruning.multiple`` channels. Where that lets no candidate be fast enough, as in a network
    whose time goes into narrow layers, the multiple is halved.

    Args:
        teacher: not modified; the student starts from its weights.
        context: the recipe with its budgets, and data to measure on.

    Raises:
        RecipeError: there is no latency budget, or no candidate can meet it.
        DataError: there is no data to measure on.
    """
    if not context.recipe.budgets.bound_latency:
        raise RecipeError(NO_LATENCY_BUDGET)
    samples = samples_of(context)
    blocks = least_noise_first(teacher, samples, context)
    depths = _depths(teacher, blocks, context)
    slow: list[Student] = []
    fault: RecipeError | None = None
    for multiple in _multiples(context.recipe.pruning.multiple):
        fast: list[Student] = []
        for depth, share in depths:
            try:
                student = _narrowed(remove_blocks(teacher, blocks[:depth]), share, depth, multiple, context)
            except RecipeError as unreachable:
                fault = unreachable
            else:
                (slow if student.slow else fast).append(student)
        if fast:
            return max(fast, key=lambda student: student.parameters)
    if not slow:
        raise RecipeError(f"{TOO_SLOW}: {str(fault).partition(';')[0]}; {LOOSEN}")
    return min(slow, key=lambda student: student.parameters)


def _multiples(largest: int) -> Iterator[int]:
    """A multiple of channels, and those that follow where it is too coarse.

    >>> list(_multiples(16)), list(_multiples(12)), list(_multiples(1))
    ([16, 8, 4], [12, 6, 3], [1])
    """
    yield largest
    while largest > NARROWEST and largest % 2 == 0:
        largest //= 2
        yield largest


def _depths(teacher: nn.Module, blocks: Sequence[Block], context: Context) -> list[tuple[int, float]]:
    """Numbers of blocks to remove, and the share of what then is left of the latency that has to go."""

    def measure() -> dict[str, list[tuple[int, float]]]:
        depths = list(dict.fromkeys(np.linspace(0, len(blocks), DEPTHS).round().astype(int).tolist()))
        shallow = [as_artifact(remove_blocks(teacher, blocks[:depth]), context) for depth in depths]
        whole, *left = time_models([exported(teacher, context), *shallow], context)
        allowed = allowed_ms(context.recipe.budgets, whole)
        assert allowed is not None  # a budget bounds the latency
        shares = [1 - MARGIN * allowed / latency.median_ms for latency in left]
        enough = next((at for at, share in enumerate(shares) if share <= 0), len(shares))
        return {"depths": list(zip(depths, shares, strict=True))[: enough + 1]}

    key = fingerprint(teacher, context.fixed, tensors(context.example.inputs), [block.name for block in blocks])
    kept = chosen_once(context.choice("student"), key, measure)["depths"]
    return [(int(depth), float(share)) for depth, share in kept]


def _narrowed(shallow: nn.Module, share: float, depth: int, multiple: int, context: Context) -> Student:
    """A network without that share of its latency."""
    model, refusals = shallow, tuple[Refusal, ...]()
    if share > 0:
        pruning = context.recipe.pruning.model_copy(update={"goal": "latency", "method": "both", "multiple": multiple})
        narrowing = replace(context, recipe=context.recipe.model_copy(update={"pruning": pruning}))
        pruned = cut(examine_network(shallow, narrowing), share, f"student-{depth}-{multiple}", narrowing)
        model, refusals = pruned.model, pruned.refusals
    return Student(model=model, refusals=refusals, multiple=multiple)


def allowed_ms(budgets: Budgets, whole: Latency) -> float | None:
    """The median latency that keeps every budget, if the artifact's times scatter as the original's do; None without.

    >>> allowed_ms(Budgets(min_speedup=2.0, max_latency_p99_ms=9.0), Latency(median_ms=6.0, p95_ms=8.0, p99_ms=12.0))
    3.0
    """
    tails = ((budgets.max_latency_p95_ms, whole.p95_ms), (budgets.max_latency_p99_ms, whole.p99_ms))
    limits = [
        budgets.min_speedup and whole.median_ms / budgets.min_speedup,
        budgets.max_latency_ms,
        # A tail of a few calls is one hiccup of the machine: it counts where the original itself is too slow.
        *(limit and whole.median_ms * min(limit / tail_ms, 1.0) for limit, tail_ms in tails),
    ]
    return min((limit for limit in limits if limit is not None), default=None)
