"""Widths: how many units of each group are kept, in steps that the target's CPU likes, and which ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgecompress.pruning.channels.importance import Scores
from edgecompress.pruning.structure.groups import Group

Widths = Mapping[str, int]
"""Units kept, by the name of the group."""


def step_of(group: Group, multiple: int) -> int:
    """The step, in units, that keeps the channels at a multiple.

    >>> step_of(Group(name="conv", units=tuple(range(64)), members=(), width=1), 16)
    16
    >>> step_of(Group(name="heads", units=(1, 2, 3), members=(), width=64), 16)
    1
    """
    return multiple // math.gcd(multiple, group.width)


def rounded(group: Group, kept: float, multiple: int) -> int:
    """The units that a group keeps: rounded down to a multiple of its step, at least one step, at most all.

    Narrow layers therefore lose more than wide ones, and those that have no two steps lose nothing: fewer channels
    than a kernel works on at once would not be faster.
    """
    if kept >= len(group.units):
        return len(group.units)
    step = step_of(group, multiple)
    return min(max(math.floor(kept / step + 1e-9), 1) * step, len(group.units))


def local_widths(groups: Sequence[Group], amount: float, multiple: int) -> Widths:
    """The same share of every group goes."""
    return {group.name: rounded(group, len(group.units) * (1 - amount), multiple) for group in groups}


def global_widths(groups: Sequence[Group], scores: Scores, amount: float, multiple: int) -> Widths:
    """The least important units of the whole network go, whatever group they are of; each group keeps a tenth."""
    ranked = sorted(scores[unit] for group in groups for unit in group.units)
    gone = round(amount * len(ranked))
    threshold = ranked[gone] if gone < len(ranked) else math.inf
    kept = {group.name: sum(scores[unit] >= threshold for unit in group.units) for group in groups}
    return {group.name: rounded(group, max(kept[group.name], len(group.units) / 10), multiple) for group in groups}


def choose(groups: Sequence[Group], scores: Scores, widths: Widths) -> list[int]:
    """The units that go: of each group the least important, ties by their order."""
    chosen = []
    for group in groups:
        ranked = sorted(group.units, key=lambda unit: (scores[unit], unit))
        chosen += ranked[: len(group.units) - widths[group.name]]
    return chosen
