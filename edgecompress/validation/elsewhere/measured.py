"""What a device measured of an artifact: its times next to the float file's, memory, temperature and clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.metrics.bootstrap import Interval
from edgecompress.timing.latency import latency_intervals, summarize
from edgecompress.timing.noise import doubts_of
from edgecompress.timing.ratios import SAME_TIME, Ratio, ratio_of

MEASURES = {"latency_ms": "median", "latency_p95_ms": "p95", "latency_p99_ms": "p99"}
"""What budgets bound, and its name in an entry."""
THROTTLED = 0.9
"""A clock that falls below this share of what it was makes every figure doubtful."""


@dataclass(frozen=True, kw_only=True)
class DeviceFigures:
    """Figures of a device.

    Attributes:
        artifact_ms: of the runs in their order, (runs,).
        original_ms: of the float file in the same rounds, (runs,); None where there is none.
        threads: of each session.
        cores: the numbers of those that it ran on.
        memory_bytes: what a session of each file needs in addition to the runtime, ``original`` and ``compressed``, as
            far as the device tells.
        before: what the device was like before the runs, by name with the unit: ``temperature_c``, ``clock_mhz``.
        after: and behind them.
    """

    artifact_ms: NDArray[np.float64]
    original_ms: NDArray[np.float64] | None = None
    threads: int = 1
    cores: tuple[int, ...] = ()
    memory_bytes: Mapping[str, int | None] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> Ratio | None:
        """The float file's time over the artifact's."""
        return None if self.original_ms is None else ratio_of(self.original_ms, self.artifact_ms)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Reasons not to trust the times, a line each."""
        noise = doubts_of(self.artifact_ms, self.ratio or SAME_TIME, first_ms=self.original_ms)
        return (*noise, *_throttling(self.before, self.after))

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        ratio, intervals = self.ratio, latency_intervals(self.artifact_ms)
        return {
            "latency_ms": {
                "original": None if self.original_ms is None else summarize(self.original_ms).entry,
                "compressed": summarize(self.artifact_ms).entry,
                "intervals_95": {MEASURES[name]: list(ends) for name, ends in intervals.items()},
                "ratio": None if ratio is None else ratio.value,
                "ratio_interval_95": None if ratio is None else [ratio.low, ratio.high],
                "verdict": None if ratio is None else ratio.verdict,
                "runs": len(self.artifact_ms),
                "threads": self.threads,
                "cores": list(self.cores),
                "doubts": list(self.doubts),
            },
            "memory_bytes": {name: self.memory_bytes.get(name) for name in ("original", "compressed")},
            "before": dict(self.before),
            "after": dict(self.after),
        }


@dataclass(frozen=True, kw_only=True)
class DecidingFigure:
    """A figure that decides a budget, its 95 % interval, and the place that it is from."""

    value: float
    place: str
    interval: Interval | None = None


def deciding(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, DecidingFigure]:
    """What devices measured of the latency, by the measure that budgets bound: of several devices, the worst.

    Args:
        entries: of places by their names, as manifests have them, perhaps a stranger's.

    >>> board = {"measured": {"latency_ms": {"compressed": {"median": 4.0}, "ratio": 2.5}}}
    >>> {name: figure.value for name, figure in deciding({"ssh://board": board, "browser": {}}).items()}
    {'latency_ms': 4.0, 'speedup': 2.5}
    """
    found: dict[str, DecidingFigure] = {}
    for place, entry in entries.items():
        for measure, figure in _figures(place, entry):
            worst = min if measure == "speedup" else max
            found[measure] = worst(figure, found.get(measure, figure), key=lambda each: each.value)
    return found


def _figures(place: str, entry: Mapping[str, Any]) -> Iterator[tuple[str, DecidingFigure]]:
    for measure, name in MEASURES.items():
        value, ends = _at(entry, "compressed", name), _at(entry, "intervals_95", name)
        if _is_number(value):
            yield measure, DecidingFigure(value=value, place=place, interval=_interval(ends))
    ratio = _at(entry, "ratio")
    if _is_number(ratio):
        yield "speedup", DecidingFigure(value=ratio, place=place, interval=_interval(_at(entry, "ratio_interval_95")))


def _at(entry: Any, *path: str) -> Any:
    for key in ("measured", "latency_ms", *path):
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def _interval(ends: Any) -> Interval | None:
    if not isinstance(ends, (list, tuple)) or len(ends) != 2 or not all(map(_is_number, ends)):
        return None
    return (ends[0], ends[1]) if ends[0] <= ends[1] else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _throttling(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[str]:
    first, last = before.get("clock_mhz"), after.get("clock_mhz")
    if first is not None and last is not None and last < THROTTLED * first:
        yield (
            f"the clock fell from {first:.0f} to {last:.0f} MHz; cool the device, or take the governor 'performance'"
        )
