"""What is known of a bundle's measures: a row for each, taken now or when the bundle was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecompress.bundle.reading import Bundle, recorded_number
from edgecompress.metrics.bootstrap import Interval
from edgecompress.timing.benchmark import stored_bytes
from edgecompress.timing.ratios import Ratio, Verdict
from edgecompress.units import decibels, metric
from edgecompress.validation.budgets import MEASURES
from edgecompress.validation.drops import Drop, DropVerdict

HERE, RECORDED, NOWHERE = "measured here", "recorded", "-"


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """One measure, its value, and whether it was taken now or when the bundle was written.

    ``interval`` bounds it at 95 % where it is a time or a ratio of times; ``drop`` is that of the metric, where it is
    one; ``title`` is what a table calls it, where that is not ``measure``.
    """

    measure: str
    value: float | None
    unit: str
    source: str
    interval: Interval | None = None
    drop: Drop | None = None
    title: str | None = None

    @property
    def verdict(self) -> Verdict | DropVerdict | None:
        """What a ratio of times, or a drop, says."""
        if self.drop is not None:
            return self.drop.verdict
        if self.measure != "speedup" or self.value is None or self.interval is None:
            return None
        return self._ratio(self.value, self.interval).verdict

    @property
    def text(self) -> str:
        """The value with its unit; a ratio of times in words, and the change of a metric in place of its drop."""
        if self.value is None:
            return "not measured"
        if self.measure == "speedup" and self.interval is not None:
            return self._ratio(self.value, self.interval).words
        if self.drop is not None:
            return self.drop.words
        return decibels(self.value) if self.unit == "dB" else metric(self.value, self.unit)

    @property
    def entry(self) -> dict[str, Any]:
        """The row for JSON, without its name."""
        found: dict[str, Any] = {"value": self.value, "unit": self.unit, "source": self.source}
        interval = self.interval if self.drop is None else self.drop.interval_95
        if interval is not None:
            found["interval_95"] = list(interval)
        return found if self.verdict is None else {**found, "verdict": self.verdict}

    @staticmethod
    def _ratio(value: float, interval: Interval) -> Ratio:
        return Ratio(value=value, low=interval[0], high=interval[1])


def recorded(bundle: Bundle, measure: str, path: tuple[str, ...], unit: str) -> MeasuredRow:
    """A measure as the manifest has it, under ``metrics``."""
    return MeasuredRow(measure=measure, value=recorded_number(bundle, *path), unit=unit, source=RECORDED)


def recorded_speedup(bundle: Bundle) -> MeasuredRow:
    """The speedup of the record, with its interval."""
    row = recorded(bundle, "speedup", ("latency_ms", "ratio"), "x")
    ends = [recorded_number(bundle, "latency_ms", "ratio_interval_95", place) for place in (0, 1)]
    low, high = ends
    return row if low is None or high is None or not 0 < low <= high else replace(row, interval=(low, high))


def judged_in_the_record(rows: Iterable[MeasuredRow], bundle: Bundle) -> dict[str, bool]:
    """The recorded measures that a budget bounded when the bundle was written: whether they counted there.

    Times did not where the machine that took them had another CPU than the target.
    """
    budgets = (check for check in bundle.manifest.verdict.budgets if check.budget in MEASURES)
    counted = {MEASURES[check.budget][0]: check.value is not None for check in budgets}
    return {row.measure: counted[row.measure] for row in rows if row.source == RECORDED and row.measure in counted}


def compression_row(bundle: Bundle, original: Path | None) -> MeasuredRow:
    """The compression ratio: against the float file that is given, else as recorded."""
    if original is None:
        return recorded(bundle, "compression_ratio", ("size_bytes", "ratio"), "x")
    ratio = stored_bytes(original) / stored_bytes(bundle.artifact)
    return MeasuredRow(measure="compression_ratio", value=ratio, unit="x", source=HERE)
