"""The metric of a run, as a recipe names it or as a Python caller hands it over, and what is left for it to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edgecompress.errors import RecipeError
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.own_metric import own_measure
from edgecompress.loading.own_postprocess import own_postprocess
from edgecompress.loading.user_code import folder_of, importable, place_of, resolve
from edgecompress.metrics.metric import DEFAULT, Measure, Metric, named_measure
from edgecompress.metrics.postprocess import Postprocess
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.meant import name_as_meant
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.registry import LOSSES, METRICS, built_in, find

MetricOrName = str | Metric | Callable[..., Any]
"""A name, ``file.py:callable``, an object, its class, or a function of a batch."""
PostprocessOrName = str | Callable[[Any], Any]
"""``file.py:callable``, or a function of the outputs."""


@dataclass(frozen=True, kw_only=True)
class MeasuredBy:
    """What a caller hands over in place of what a recipe names; None for what that names.

    Attributes:
        metric: what decides how good a network is.
        postprocess: what becomes of the outputs before.
        loss: what training minimizes.
    """

    metric: MetricOrName | None = None
    postprocess: PostprocessOrName | None = None
    loss: LossOrName | None = None

    def named_in(self, recipe: Recipe) -> Recipe:
        """A recipe that names what was handed over; of an object or a function, where its code is.

        Raises:
            RecipeError: nothing has the name.
        """
        given = {
            "evaluation": _names(metric=name_as_meant(METRICS.key, self.metric), postprocess=self.postprocess),
            "training": _names(loss=name_as_meant(LOSSES.key, self.loss)),
        }
        parse_recipe(given)  # what a record names need not be there, what is handed over has to
        named = {key: getattr(recipe, key).model_copy(update=names) for key, names in given.items() if names}
        return recipe.model_copy(update=named) if named else recipe


def _names(**given: Any) -> dict[str, Any]:
    """What a recipe has in place of what was handed over; without what was not."""
    return {
        key: value if isinstance(value, str) else place_of(value) for key, value in given.items() if value is not None
    }


AS_NAMED = MeasuredBy()
"""By what the recipe names."""


def open_metric(recipe: Recipe, by: MeasuredBy, warn: Callable[[str], None]) -> tuple[Measure, Recipe]:
    """What networks are measured by, and the recipe with all that the metric says of itself.

    Args:
        recipe: ``evaluation`` names the metric, and settles what it says of itself.
        by: the objects or functions in place of what is named.
        warn: told where nothing says whether more is better, or no budget speaks of the metric.

    Raises:
        RecipeError: there is no such metric or postprocessing, it cannot be made, a budget bounds it from the wrong
            side, or the floor of a metric in percent is a share.
    """
    asked = recipe.evaluation
    found = _found(asked.metric, by.metric)
    return settle(replace(found, postprocess=_postprocess(asked.postprocess, by.postprocess)), recipe, warn)


def settle(found: Measure, recipe: Recipe, warn: Callable[[str], None]) -> tuple[Measure, Recipe]:
    """A metric with what a recipe says of it, and the recipe with all that the metric says of itself.

    Args:
        found: the metric.
        recipe: ``evaluation`` goes before what the metric says of itself.
        warn: as :func:`open_metric` has it.

    Raises:
        RecipeError: a budget bounds the metric from the wrong side, or the floor of a metric in percent is a share.
    """
    asked = recipe.evaluation
    said = {key: value for key in ("unit", "higher_is_better") if (value := getattr(asked, key)) is not None}
    measure = replace(found, **said)
    _check_side(measure, recipe.budgets)
    _check_floor(measure, recipe.budgets.min_metric)
    if measure.name == DEFAULT:
        return measure, recipe
    if measure.higher_is_better is None:
        warn(f"{measure.name!r} does not say whether more is better; more is taken (evaluation.higher_is_better)")
    settled = asked.model_copy(update={"unit": measure.unit, "higher_is_better": measure.wants_more})
    budgets = _budgets_of(measure, recipe.budgets, warn)
    return measure, recipe.model_copy(update={"evaluation": settled, "budgets": budgets})


def _found(name: str, metric: MetricOrName | None) -> Measure:
    if metric is not None and not isinstance(metric, str):
        return own_measure(metric, name)
    if name in built_in(METRICS):
        return named_measure(name)
    if ":" not in name:
        return own_measure(find(METRICS, name), name)
    with importable(folder_of(name)):
        return own_measure(resolve(name, RecipeError, "metric"), name)


def _postprocess(name: str | None, given: PostprocessOrName | None) -> Postprocess | None:
    if name is None:
        return None
    if given is not None and not isinstance(given, str):
        return own_postprocess(given, name)
    with importable(folder_of(name)):
        return own_postprocess(resolve(name, RecipeError, "postprocess"), name)


def _check_side(measure: Measure, budgets: Budgets) -> None:
    """Refuse a budget that the best value of the metric would miss."""
    wrong, right = ("max_metric", "min_metric") if measure.wants_more else ("min_metric", "max_metric")
    if getattr(budgets, wrong) is not None:
        side = "more" if measure.wants_more else "less"
        raise RecipeError(
            f"'budgets.{wrong}' bounds {measure.name!r} from the wrong side, as {side} is better; set"
            f" budgets.{right}, or evaluation.higher_is_better"
        )


def _check_floor(measure: Measure, floor: float | None) -> None:
    """Refuse 0.7 as a floor in percent: it was meant as 70 %, and any network would keep it."""
    if measure.in_percent and floor is not None and 0 < floor <= 1:
        raise RecipeError(
            f"'budgets.min_metric' is {floor:g}, and {measure.in_words} is in percent; write {100 * floor:g} for"
            f" {100 * floor:g} %"
        )


def _budgets_of(measure: Measure, budgets: Budgets, warn: Callable[[str], None]) -> Budgets:
    """The budgets of a run by another metric than top-1: points of accuracy become points of one in percent.

    A budget of what is lost takes their place. A bound of the metric itself says nothing of that, and both hold.
    """
    limit, losses = budgets.max_accuracy_drop, (budgets.max_metric_drop, budgets.min_metric_kept)
    if limit is None or any(loss is not None for loss in losses):
        return budgets.model_copy(update={"max_accuracy_drop": None})
    if measure.in_percent:
        return budgets.model_copy(update={"max_accuracy_drop": None, "max_metric_drop": limit})
    warn(
        f"no budget bounds what is lost of {measure.name!r}: budgets.max_accuracy_drop is in percentage points, and the"
        " metric is not; set budgets.min_metric_kept=0.99, or budgets.max_metric_drop"
    )
    return budgets.model_copy(update={"max_accuracy_drop": None})
