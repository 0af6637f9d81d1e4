"""The metric of a run: found by its name, with what the recipe says of it, and the budgets that speak of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy, open_metric
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.metrics.running import Running
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Evaluation, Recipe
from edgecompress.registry import METRICS, built_in

OWN = """
class Largest:
    unit, higher_is_better = "V", False

    def __init__(self): self.reset()
    def update(self, outputs, targets): self.found = max(self.found, float(abs(outputs - targets).max()))
    def compute(self): return self.found
    def reset(self): self.found = 0.0

made = Largest
def factory(): return Largest()
def mean(outputs, targets): return abs(outputs - targets).mean()
"""


class Heard(list[str]):
    """Keeps the warnings."""

    def __call__(self, line: str) -> None:
        self.append(line)


def _opened(recipe: Recipe, metric: Any = None, postprocess: Any = None) -> tuple[Measure, Recipe, list[str]]:
    heard = Heard()
    return (*open_metric(recipe, MeasuredBy(metric=metric, postprocess=postprocess), heard), heard)


def _naming(recipe: Recipe, metric: Any) -> Recipe:
    return MeasuredBy(metric=metric).named_in(recipe)


def _named(name: str, **budgets: float) -> Recipe:
    return Recipe(evaluation=Evaluation(metric=name), budgets=Budgets(**budgets))


def _value(measure: Measure) -> float | None:
    running = Running(measure)
    running.update([np.array([[1.0], [2.0]])], np.array([[0.0], [5.0]]), "batch")
    running.update([np.array([[1.0]])], np.array([[1.0]]), "batch")
    return running.value


def test_top_1_changes_no_recipe() -> None:
    recipe = Recipe(budgets=Budgets(max_accuracy_drop=1.5, max_metric_drop=1.0))
    assert _opened(recipe) == (named_measure("top1"), recipe, [])


@pytest.mark.parametrize(("name", "value"), [("made", 3.0), ("Largest", 3.0), ("factory", 3.0), ("mean", 4 / 3)])
def test_a_metric_of_the_user_s_own_file_is_found(tmp_path: Path, name: str, value: float) -> None:
    (tmp_path / "scores.py").write_text(OWN)
    spec = f"{tmp_path / 'scores.py'}:{name}"
    measure, recipe, heard = _opened(_named(spec))
    assert _value(measure) == pytest.approx(value)
    assert measure.name == spec
    known = name != "mean"
    assert recipe.evaluation == Evaluation(metric=spec, unit="V" if known else "", higher_is_better=not known)
    silent = [f"{spec!r} does not say whether more is better; more is taken (evaluation.higher_is_better)"]
    assert heard == ([] if known else silent)


def test_the_recipe_settles_what_a_metric_does_not_say(tmp_path: Path) -> None:
    (tmp_path / "scores.py").write_text(OWN)
    said = Evaluation(metric=f"{tmp_path / 'scores.py'}:mean", unit="mm", higher_is_better=False)
    measure, recipe, heard = _opened(Recipe(evaluation=said))
    assert (measure.unit, measure.wants_more, recipe.evaluation, heard) == ("mm", False, said, [])


def test_an_object_stands_for_its_place_in_the_recipe() -> None:
    recipe = _naming(Recipe(), Heard())
    assert recipe.evaluation.metric == f"{__name__}:Heard"
    assert _naming(Recipe(), _value).evaluation.metric == f"{__name__}:_value"
    assert _naming(Recipe(), "mae").evaluation.metric == "mae"
    assert _naming(recipe, None) is recipe

    def mean(outputs: Any, targets: Any) -> float:
        return float(abs(outputs - targets).mean())

    assert _value(_opened(_naming(Recipe(), mean), mean)[0]) == pytest.approx(4 / 3)


def test_points_of_accuracy_bound_a_metric_in_percent() -> None:
    _, recipe, heard = _opened(_named("miou", max_accuracy_drop=1.5, min_speedup=2.0))
    assert recipe.budgets == Budgets(max_metric_drop=1.5, min_speedup=2.0)
    assert heard == []
    assert _opened(recipe)[1] == recipe  # a recipe that was settled is settled


def test_a_floor_leaves_the_budget_of_what_is_lost() -> None:
    _, recipe, heard = _opened(_named("miou", max_accuracy_drop=1.5, min_metric=70.0))
    assert recipe.budgets == Budgets(max_metric_drop=1.5, min_metric=70.0)
    assert heard == []
    _, recipe, heard = _opened(_named("mae", max_accuracy_drop=1.5, max_metric=0.9))
    assert recipe.budgets == Budgets(max_metric=0.9)
    assert [line.partition(":")[0] for line in heard] == ["no budget bounds what is lost of 'mae'"]


@pytest.mark.parametrize("budget", ["max_metric_drop", "min_metric_kept"])
def test_a_budget_of_what_is_lost_takes_the_place_of_points(budget: str) -> None:
    _, recipe, heard = _opened(_named("mae", max_accuracy_drop=1.5, **{budget: 0.9}))
    assert recipe.budgets == Budgets(**{budget: 0.9})
    assert heard == []


def test_a_metric_that_nothing_bounds_is_told() -> None:
    _, recipe, heard = _opened(_named("mae", max_accuracy_drop=1.5))
    assert recipe.budgets == Budgets()
    assert heard == [
        "no budget bounds what is lost of 'mae': budgets.max_accuracy_drop is in percentage points, and the metric is"
        " not; set budgets.min_metric_kept=0.99, or budgets.max_metric_drop"
    ]


@pytest.mark.parametrize(
    ("name", "budget", "told"),
    [
        (
            "mae",
            "min_metric",
            "'budgets.min_metric' bounds 'mae' from the wrong side, as less is better; set budgets.max_metric,"
            " or evaluation.higher_is_better",
        ),
        (
            "top1",
            "max_metric",
            "'budgets.max_metric' bounds 'top1' from the wrong side, as more is better; set budgets.min_metric,"
            " or evaluation.higher_is_better",
        ),
    ],
)
def test_a_budget_from_the_wrong_side_is_refused(name: str, budget: str, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _opened(_named(name, **{budget: 0.5}))
    assert str(caught.value) == told


@pytest.mark.parametrize(("floor", "meant"), [(0.7, "70"), (1.0, "100"), (0.005, "0.5"), (0.925, "92.5")])
@pytest.mark.parametrize("name", ["miou", "top1", "auroc"])
def test_a_share_as_the_floor_of_a_metric_in_percent_is_refused(name: str, floor: float, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _opened(_named(name, min_metric=floor))
    assert str(caught.value) == (
        f"'budgets.min_metric' is {floor:g}, and {'accuracy' if name == 'top1' else repr(name)} is in percent; write"
        f" {meant} for {meant} %"
    )


@pytest.mark.parametrize(
    ("name", "budget", "limit"),
    [
        ("miou", "min_metric", 1.01),
        ("miou", "min_metric", 70.0),
        ("miou", "max_metric_drop", 0.5),
        ("top1", "max_accuracy_drop", 0.5),
        ("wer", "max_metric", 0.7),
        ("cosine", "min_metric", 0.7),
        ("psnr", "min_metric", 0.7),
    ],
)
def test_limits_below_1_that_are_meant_so_hold(name: str, budget: str, limit: float) -> None:
    assert getattr(_opened(_named(name, **{budget: limit}))[1].budgets, budget) == limit


def test_a_metric_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        Evaluation(metric="miuo")
    *names, last = map(repr, built_in(METRICS))
    assert str(caught.value) == (
        f"expected a value that is {', '.join(names)} or {last} or file.py:callable, got 'miuo' in 'evaluation.metric';"
        " did you mean 'miou'?"
    )
    (tmp_path / "scores.py").write_text(OWN)
    with pytest.raises(RecipeError, match=r"has no callable 'maen'; did you mean 'mean'\?"):
        _opened(_named(f"{tmp_path / 'scores.py'}:maen"))
    with pytest.raises(RecipeError, match=r"file 'gone.py' does not exist; check the path"):
        _opened(_named("gone.py:mean"))


POST = "def halved(outputs): return outputs / 2\nnothing = 3\ndef two(a, b): return a\n"


def test_postprocessing_is_found_and_named_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "post.py").write_text(POST)
    spec = f"{tmp_path / 'post.py'}:halved"
    recipe = MeasuredBy(metric="mae", postprocess=spec).named_in(Recipe())
    assert (recipe.evaluation.metric, recipe.evaluation.postprocess) == ("mae", spec)
    measure, settled, _ = _opened(recipe)
    assert settled.evaluation.postprocess == spec
    assert _value(measure) == pytest.approx((0.5 + 4 + 0.5) / 3)


def test_a_function_stands_for_its_place() -> None:
    recipe = MeasuredBy(postprocess=_halved).named_in(_named("mae"))
    assert recipe.evaluation.postprocess == f"{__name__}:_halved"
    assert _value(_opened(recipe, postprocess=_halved)[0]) == pytest.approx((0.5 + 4 + 0.5) / 3)


def _halved(outputs: Any) -> Any:
    return outputs / 2


def test_top_1_of_what_postprocessing_makes_is_not_that_of_the_outputs() -> None:
    measure, _, _ = _opened(Recipe(evaluation=Evaluation(postprocess=f"{__name__}:_halved")), postprocess=_halved)
    assert (measure.is_top1, measure.of_raw_scores, measure.of_classes) == (False, False, True)
    assert named_measure("top1").is_top1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("halve", "'post.py' has no callable 'halve'; did you mean 'halved'?"),
        ("nothing", "'post.py:nothing' is an int, not a callable; name a function"),
        ("two", "postprocess 'post.py:two' cannot be called with (outputs); give a function of the outputs"),
    ],
)
def test_postprocessing_that_is_none_is_refused(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "post.py").write_text(POST)
    with pytest.raises(RecipeError) as caught:
        _opened(Recipe(evaluation=Evaluation(metric="mae", postprocess=f"post.py:{name}")))
    assert str(caught.value).startswith(told)


def test_postprocessing_needs_a_place() -> None:
    with pytest.raises(RecipeError, match="postprocess 'nms' is neither a known file nor a callable"):
        _opened(Recipe(evaluation=Evaluation(metric="mae", postprocess="nms")))
