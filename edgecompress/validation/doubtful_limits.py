"""Limits that let nearly everything pass: a share in the place of a factor, or points where the metric has none."""

from __future__ import annotations

from collections.abc import Iterator

from edgecompress.metrics.metric import Measure
from edgecompress.recipe.budgets import Budgets
from edgecompress.registry import METRICS, built_in

LOSS = "max_metric_drop"
"""The budget that is in the metric's own unit, whatever that is."""
DOUBTFUL_FACTOR = 0.5
"""A floor of a ratio that nobody needs: the artifact may have twice the bytes, or take twice the time."""
FACTORS = {"min_compression_ratio": ("larger", "smaller"), "min_speedup": ("slower", "faster")}
"""Floors of ratios, with what an artifact may be under a floor below 1, and what it has to be under one above."""


def doubtful_factors(budgets: Budgets) -> Iterator[str]:
    """A sentence for each floor of a ratio that reads as a share of the float model.

    >>> [*doubtful_factors(Budgets(min_compression_ratio=0.25, min_speedup=0.95))]
    ['min_compression_ratio=0.25 passes an artifact 4 times larger than the float model; for 4 times smaller write 4']
    """
    for name, (allowed, meant) in FACTORS.items():
        floor = getattr(budgets, name)
        if floor is not None and floor <= DOUBTFUL_FACTOR:
            factor = f"{1 / floor:.3g}"
            yield (
                f"{name}={floor:g} passes an artifact {factor} times {allowed} than the float model; for {factor} times"
                f" {meant} write {factor}"
            )


def doubtful_loss(measure: Measure, name: str, limit: float | None, before: float | None) -> Iterator[str]:
    """A sentence where a limit of what is lost is in points, and the metric seems to be a share.

    Args:
        measure: the metric.
        name: of the limit.
        limit: the most that may be lost, in the metric's unit; None where there is none.
        before: the metric of the model that the artifact is compared with; None where it is not known.
    """
    if limit is None or before is None or not measure.wants_more or not 0 < before <= 1 <= limit:
        return
    if not measure.unit:
        yield (
            f"{name}={limit:g} cannot be missed if {measure.in_words}, {before:.4g} before, is a share: the limit is in"
            f" its own unit; write {limit / 100:g} for {limit:g} points"
        )
    elif measure.in_percent and measure.name not in built_in(METRICS):
        yield (
            f"{measure.in_words} says that it is in percent, and is {before:.4g} % before: if that is a share, nothing"
            f" can miss {name}={limit:g}; return 100 times as much"
        )
