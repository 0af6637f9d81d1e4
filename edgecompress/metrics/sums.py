"""Sums over samples: what most metrics are computed from, so that they can be computed again of samples drawn anew.

To say how far chance moves a metric, its samples are drawn with replacement (:mod:`edgecompress.metrics.bootstrap`). A
metric whose value is a function of sums over the samples needs no second pass for that: the sums of those that were
drawn are enough. Of many samples the sums of :data:`GROUPS` groups are kept, filled at random, and groups are drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array

GROUPS = 500
"""Most groups: they give the width of an interval to 3 %, in a memory that does not grow with the samples."""

Sums = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawable:
    """What a metric was computed from, in parts that can be drawn.

    Attributes:
        parts: what each group of samples gives to it, (groups, columns); two networks whose answers to a group count
            alike have the same there.
        values: from how often each group is drawn, (resamples, groups), to the metric of these, (resamples,), NaN where
            it has no value.
    """

    parts: Sums
    values: Callable[[NDArray[np.int64]], Sums]


class Redrawn(ABC):
    """A metric that can be computed again of samples drawn anew. It is looked for by this class, and by no name."""

    @abstractmethod
    def drawable(self) -> Drawable | None:
        """What it was computed from; None where that cannot be told apart by samples."""


class GroupSums:
    """Sums over the samples of each group, whatever the batches."""

    def __init__(self) -> None:
        self._sums: Sums = np.zeros((0, 0))
        self._seen = 0
        self._generator = np.random.default_rng(0)
        self._next = np.zeros(0, np.int64)

    def add(self, parts: Array) -> None:
        """Add samples: what each of them gives, (samples, columns)."""
        if not self._sums.size:
            self._sums = np.zeros((0, parts.shape[1]))
        places = self._places(len(parts))
        if (missing := int(places.max(initial=-1)) + 1 - len(self._sums)) > 0:
            self._sums = np.concatenate([self._sums, np.zeros((missing, parts.shape[1]))])
        np.add.at(self._sums, places, parts)

    @property
    def groups(self) -> Sums:
        """(groups, columns): of few samples each is a group."""
        return self._sums

    @property
    def totals(self) -> Sums:
        """Over all samples, (columns,); none of no sample."""
        totals: Sums = self._sums.sum(0)
        return totals

    def _places(self, count: int) -> NDArray[np.int64]:
        """The groups of the next samples: the first in their order, then each once in an order of chance, and again."""
        while len(self._next) < count:
            order = np.arange(GROUPS) if not self._seen else self._generator.permutation(GROUPS)
            self._next, self._seen = np.concatenate([self._next, order]), self._seen + GROUPS
        places, self._next = self._next[:count], self._next[count:]
        return places


def groups_of(samples: int) -> NDArray[np.int64]:
    """The group of each of so many samples, as :class:`GroupSums` makes them.

    >>> groups_of(3)
    array([0, 1, 2])
    """
    return GroupSums()._places(samples)


class OfSums(Redrawn):
    """A metric that is a function of sums over the samples."""

    def __init__(self) -> None:
        self._sums = GroupSums()

    @abstractmethod
    def _values(self, sums: Sums) -> Sums:
        """From sums, (resamples, columns), to the metric, (resamples,); NaN where it has no value."""

    def compute(self) -> float:
        """The metric of all samples; NaN of nothing."""
        totals = self._sums.totals
        return float(self._values(totals[None])[0]) if totals.size else float("nan")

    def reset(self) -> None:
        """Forget all batches."""
        self._sums = GroupSums()

    def drawable(self) -> Drawable | None:
        """The sums of each group."""
        groups = self._sums.groups
        return Drawable(parts=groups, values=lambda drawn: self._values(drawn @ groups)) if groups.size else None

    def _add(self, *columns: Any) -> None:
        """Add samples: what each gives to each sum, arrays of shape (samples,) or (samples, sums)."""
        self._sums.add(np.column_stack(columns))


def share_of(part: Any, whole: Any) -> Sums:
    """Part / whole, NaN where there is no whole.

    >>> share_of([1, 0], [4, 0]).tolist()
    [0.25, nan]
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    found: Sums = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole != 0)
    return found
