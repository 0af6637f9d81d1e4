"""A trial: a recipe of the space, and what its bundle measured, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from edgecompress.bundle.manifest import Manifest, metric_entry
from edgecompress.comparison.search.space import Setting
from edgecompress.metrics.bootstrap import Interval
from edgecompress.recipe.wording import ADVISES
from edgecompress.timing.ratios import Ratio
from edgecompress.units import signed
from edgecompress.validation.drops import Drop

TRIALS = "trials"
"""The folder of the bundles, in that of a search."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What the bundle of a trial measured, next to the original.

    Attributes:
        title: the techniques, in words.
        metric: its value, in its unit.
        metric_drop: by how much that is worse than the original's; between ``metric_drop_interval_95`` at 95 %.
        metric_verdict: whether that is a drop beyond chance.
        metric_change: the change between its ends at 95 %, in words; or by how much, where no interval is known.
        original_ms: median latency of the original, in milliseconds, in the run that timed both in turn.
        speedup: the original's latency over the bundle's in that run; between ``speedup_interval_95`` at 95 %.
        size_bytes: of the artifact.
        original_bytes: of the float file.
        outcome: of the budgets: pass, fail or undecided.
        missed: the budgets that are not kept.
        undecided: those that the machine was too noisy to say of; none where an older version measured.
        unmeasured: those that nothing measured, as a speedup where the target has another CPU.
    """

    title: str
    metric_name: str
    metric_unit: str
    higher_is_better: bool
    metric: float
    metric_drop: float
    metric_drop_interval_95: Interval | None
    metric_verdict: str | None
    metric_change: str
    original_metric: float
    original_ms: float
    speedup: float
    speedup_interval_95: Interval
    size_bytes: int
    original_bytes: int
    outcome: str
    missed: tuple[str, ...]
    undecided: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest, title: str) -> Self:
        """As a manifest has them; the data have labels."""
        size, latency = manifest.metrics["size_bytes"], manifest.metrics["latency_ms"]
        decided = metric_entry(manifest.metrics)
        drop = Drop.recorded(decided)
        assert drop is not None
        low, high = latency["ratio_interval_95"]
        return cls(
            title=title,
            metric_name=decided["name"],
            metric_unit=decided["unit"],
            higher_is_better=decided["higher_is_better"],
            metric=decided["compressed"],
            metric_drop=decided["drop"],
            metric_drop_interval_95=drop.interval_95,
            metric_verdict=drop.verdict,
            metric_change=drop.span or signed(drop.after - drop.before, drop.unit),
            original_metric=decided["original"],
            original_ms=latency["original"]["median"],
            speedup=latency["ratio"],
            speedup_interval_95=(low, high),
            size_bytes=size["compressed"],
            original_bytes=size["original"],
            outcome=manifest.verdict.outcome,
            missed=_budgets(manifest, "fail"),
            undecided=_budgets(manifest, "too noisy to say"),
            unmeasured=_budgets(manifest, "not measured"),
        )

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """As JSON keeps them."""
        tuples = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        return cls(**{**entry, **tuples})

    @property
    def ratio(self) -> Ratio:
        """The speedup with its interval."""
        low, high = self.speedup_interval_95
        return Ratio(value=self.speedup, low=low, high=high)

    @property
    def objectives(self) -> tuple[float, float, float]:
        """What a search makes small: the metric's drop, the latency as a share of the original's, and the bytes."""
        return self.metric_drop, 1 / self.speedup, float(self.size_bytes)


def _budgets(manifest: Manifest, outcome: str) -> tuple[str, ...]:
    return tuple(check.budget for check in manifest.verdict.budgets if check.outcome == outcome)


@dataclass(frozen=True, kw_only=True)
class SearchTrial:
    """One trial of a search.

    Attributes:
        number: in the study.
        settings: the keys of its recipe that the search chose.
        folder: of its bundle, in the folder of the search.
        seconds: that it took.
        measures: None where there is no bundle.
        failure: why there is none.
    """

    number: int
    settings: Mapping[str, Setting]
    folder: str
    seconds: float
    measures: Measures | None = None
    failure: str | None = field(default=None, metadata=ADVISES)

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {**asdict(self), "settings": dict(self.settings)}
