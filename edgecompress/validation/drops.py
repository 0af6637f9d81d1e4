"""Drops: by how much a metric is worse, and between which values that lies if the samples had been others.

The answers of both networks to a sample belong together, so the bootstrap draws samples with both of them. What it
finds is of the samples alone: the networks are those that were measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgecompress.metrics.bootstrap import Interval, bounds, draws
from edgecompress.metrics.metric import PERCENT, Measure
from edgecompress.metrics.sums import Drawable, Sums
from edgecompress.units import metric_change, signed

DropVerdict = Literal["better", "worse", "no difference", "too few samples to say"]

FEWEST = 6
"""Groups of samples: of fewer, all are worse by chance more often than once in twenty."""
WIDEST = 0.05
"""Half of an interval's width, as a share of 100 % or of the value before, beyond which little can be said."""


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The values of a metric before and after, and how much worse the second is at least and at most, at 95 %.

    ``interval_95`` is in the unit of the metric, below zero where it is better; None where it is not known.
    """

    before: float
    after: float
    unit: str
    higher_is_better: bool
    interval_95: Interval | None = None

    @classmethod
    def recorded(cls, entry: Mapping[str, Any]) -> Drop | None:
        """As a manifest has it of a metric; None where it was not measured. Bundles of before have no interval.

        >>> entry = {"original": 80.0, "compressed": 79.0, "unit": "%", "higher_is_better": True}
        >>> Drop.recorded({**entry, "drop_interval_95": [0.25, 1.75]}).words
        '-1.00 points (-1.75 to -0.25)'
        """
        before, after, interval = entry["original"], entry["compressed"], entry.get("drop_interval_95")
        if before is None or after is None:
            return None
        return cls(
            before=before,
            after=after,
            unit=entry["unit"],
            higher_is_better=entry["higher_is_better"],
            interval_95=None if interval is None else (interval[0], interval[1]),
        )

    @property
    def verdict(self) -> DropVerdict | None:
        """``worse`` or ``better``, said of the second, where the interval does not hold 0; None without an interval.

        Elsewhere it is ``no difference``, or ``too few samples to say`` where one above 5 % would not have been seen.
        """
        if self.interval_95 is None:
            return None
        low, high = self.interval_95
        if low > 0 or high < 0:
            return "worse" if low > 0 else "better"
        scale = 100.0 if self.unit == PERCENT else abs(self.before)
        return "no difference" if (high - low) / 2 <= WIDEST * scale else "too few samples to say"

    @property
    def loss(self) -> float:
        """By how much the second value is worse than the first, in the unit of the metric; below zero if better.

        >>> Drop(before=0.5, after=0.625, unit="m", higher_is_better=False).loss
        0.125
        """
        return self.before - self.after if self.higher_is_better else self.after - self.before

    @property
    def is_one(self) -> bool:
        """Whether the values differ by more than chance, as far as is known."""
        return is_sure(self.verdict)

    @property
    def change(self) -> str:
        """How the metric changed, where that says something, else why not.

        >>> sure = Drop(before=80.0, after=79.0, unit="%", higher_is_better=True, interval_95=(0.25, 1.75))
        >>> sure.change, Drop(before=0.5, after=0.625, unit="m", higher_is_better=False).change
        ('-1.00 points', '+0.1250 m')
        """
        return metric_change(self.before, self.after, self.unit) if self.is_one else str(self.verdict)

    @property
    def words(self) -> str:
        """The change with its interval.

        >>> Drop(before=80.0, after=79.0, unit="%", higher_is_better=True, interval_95=(-0.5, 2.5)).words
        'no difference (-2.50 to +0.50)'
        """
        return f"{self.change} ({self.span})" if self.span else self.change

    @property
    def span(self) -> str:
        """The ends of the interval of the change; empty where there is none, or where both are printed as zero."""
        if self.interval_95 is None:
            return ""
        low, high = self.interval_95
        ends = (-high, -low) if self.higher_is_better else (low, high)
        return span(ends, self.unit)


def is_sure(verdict: str | None) -> bool:
    """Whether a verdict lets a drop stand as it is; so does none."""
    return verdict in ("better", "worse", None)


def span(ends: Interval, unit: str) -> str:
    """An interval of differences of a metric, in its unit; empty where both ends are printed as zero.

    >>> span((-0.5, 2.5), "%"), span((-0.99, 0.0), "%"), span((0.0, 0.0), "%")
    ('-0.50 to +2.50', '-0.99 to 0.00', '')
    """
    low, high = (signed(end, unit) for end in ends)
    return "" if float(low) == float(high) == 0 else f"{low} to {high}"


def drops(
    measure: Measure,
    values: Sequence[float | None],
    drawables: Sequence[Drawable | None],
    pairs: Sequence[tuple[int, int]],
) -> tuple[Drop | None, ...]:
    """The drops between pairs of networks, by their places; None where one of them has no value.

    Args:
        measure: what was measured.
        values: of each network.
        drawables: what each was computed from, over the same samples.
        pairs: the first before, the second after.
    """
    known = [drawable for drawable in drawables if drawable is not None]
    counts = {len(drawable.parts) for drawable in known}
    drawn = draws(counts.pop()) if len(known) == len(drawables) and len(counts) == 1 else np.zeros((0, 0), np.int64)
    resampled = [each.values(drawn) for each in known] if drawn.shape[1] >= FEWEST else []
    return tuple(_between(measure, values, known, resampled, pair) for pair in pairs)


def _between(
    measure: Measure,
    values: Sequence[float | None],
    drawables: Sequence[Drawable],
    resampled: Sequence[NDArray[np.float64]],
    pair: tuple[int, int],
) -> Drop | None:
    before, after = (values[place] for place in pair)
    if before is None or after is None:
        return None
    interval = None
    if resampled:
        parts, changes = zip(*((drawables[place].parts, resampled[place]) for place in pair), strict=True)
        worse = (changes[0] - changes[1]) * (1 if measure.wants_more else -1)
        interval = _interval(worse, _differing(*parts), measure.drop(before, after) or 0.0)
    return Drop(
        before=before, after=after, unit=measure.unit, higher_is_better=measure.wants_more, interval_95=interval
    )


def _differing(before: Sums, after: Sums) -> int:
    """How many groups count differently; all do where not even what is counted is the same."""
    return int((before != after).any(1).sum()) if before.shape == after.shape else len(before)


def _interval(worse: NDArray[np.float64], differing: int, value: float) -> Interval | None:
    """The 95 % interval of a drop, which holds its value.

    What tells of a drop are the groups whose answers count differently before and after: as many parts there are.
    """
    known = worse[np.isfinite(worse)]
    if not known.size:
        return None
    low, high = bounds(known, max(differing, 1))
    return min(low, value), max(high, value)
