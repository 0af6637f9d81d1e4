"""What decides when a bundle is validated again: its own metric and budgets, or those that are asked for now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MetricOrName, name_metric, open_metric
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.recipe.tables import Evaluation, Recipe, parse_recipe

OF_THE_METRIC = ("max_metric_drop", "min_metric_kept", "min_metric", "max_metric")


@dataclass(frozen=True, kw_only=True)
class Judging:
    """The metric, and the recipe with the budgets that hold."""

    measure: Measure
    recipe: Recipe


def judging(
    recipe: Recipe,
    metric: MetricOrName | None,
    limits: Mapping[str, float],
    warn: Callable[[str], None],
    *,
    runs: bool,
) -> Judging:
    """What decides of a bundle.

    A bundle may name code that lies on this machine, and who wrote it may be a stranger: it is run only where the
    caller names it, too.

    Args:
        recipe: of the bundle.
        metric: in place of that of the recipe, whose budgets do not bound another metric.
        limits: budgets that replace those of the recipe.
        warn: as :func:`~edgecompress.loading.metrics.open_metric` has it.
        runs: whether the metric is measured now.

    Raises:
        RecipeError: the metric is code that the caller does not name, there is no such metric, or a limit is none.
    """
    budgets = recipe.budgets.model_dump(exclude_none=True)
    asked = name_metric(recipe, metric)
    if asked.evaluation.metric != recipe.evaluation.metric:
        axis = recipe.evaluation.class_axis
        asked = asked.model_copy(update={"evaluation": Evaluation(metric=asked.evaluation.metric, class_axis=axis)})
        budgets = {name: limit for name, limit in budgets.items() if name not in OF_THE_METRIC}
    asked = asked.model_copy(update={"budgets": parse_recipe({"budgets": {**budgets, **limits}}).budgets})
    name = asked.evaluation.metric
    if metric is None and ":" in name:
        if runs:
            raise RecipeError(
                f"the bundle is measured by {name!r}, code that its maker named; give --metric with what is to be run"
            )
        return Judging(measure=_recorded(asked), recipe=asked)
    measure, settled = open_metric(asked, metric, warn)
    return Judging(measure=measure, recipe=settled)


def _recorded(recipe: Recipe) -> Measure:
    """A metric that is never made: only its record is read."""
    said = recipe.evaluation
    return replace(
        named_measure(DEFAULT), name=said.metric, unit=said.unit or "", higher_is_better=said.higher_is_better
    )
