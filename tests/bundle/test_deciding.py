"""What decides of a bundle again: its own metric and budgets, or what the caller names; a stranger's code never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecompress.bundle.deciding import judging
from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.recorded import read_recorded
from edgecompress.recipe.tables import Evaluation, Recipe
from edgecompress.registry import METRICS
from tests.installing import install_package

CODE = Recipe(
    evaluation=Evaluation(metric="theirs.py:score", unit="dB", higher_is_better=True),
    budgets=Budgets(max_metric_drop=2),
)


def _error(outputs: Any, targets: Any) -> float:
    return float(abs(outputs - targets).max())


def _quiet(line: str) -> None:
    raise AssertionError(line)


def test_the_bundle_s_own_metric_decides_by_its_budgets() -> None:
    recipe = Recipe(evaluation=Evaluation(metric="miou"), budgets=Budgets(max_metric_drop=1.0, min_speedup=2.0))
    found = judging(recipe, MeasuredBy(), {"min_speedup": 3.0}, _quiet, runs=True)
    assert found.measure.name == "miou"
    assert found.recipe.budgets == Budgets(max_metric_drop=1.0, min_speedup=3.0)


@pytest.mark.parametrize("name", Budgets.model_fields)
def test_a_budget_that_is_dropped_is_gone(name: str) -> None:
    others = {"max_accuracy_drop": 1.5, "max_size_mb": 3.0}
    recipe = Recipe(budgets=Budgets(**{**others, name: 0.5}))
    found = judging(recipe, MeasuredBy(), {"max_size_mb": 2.0, name: None}, _quiet, runs=True)
    left = {**others, "max_size_mb": 2.0}
    left.pop(name, None)
    assert found.recipe.budgets == Budgets(**left)


@pytest.mark.parametrize("dropped", ["max_accuracy_drop", "max_metric_drop"])
@pytest.mark.parametrize("asked", ["max_accuracy_drop", "max_metric_drop"])
def test_a_drop_of_another_metric_is_one_budget_under_two_names(dropped: str, asked: str) -> None:
    recipe = Recipe(evaluation=Evaluation(metric="miou"), budgets=Budgets(**{asked: 1.5}))
    assert judging(recipe, MeasuredBy(), {dropped: None}, _quiet, runs=True).recipe.budgets == Budgets()
    other = ({"max_accuracy_drop", "max_metric_drop"} - {dropped}).pop()
    found = judging(recipe, MeasuredBy(), {dropped: None, other: 2.0}, _quiet, runs=True)
    assert found.recipe.budgets == Budgets(max_metric_drop=2.0)


def test_code_that_a_bundle_names_is_not_run_unasked() -> None:
    with pytest.raises(RecipeError) as caught:
        judging(CODE, MeasuredBy(), {}, _quiet, runs=True)
    assert str(caught.value) == (
        "the bundle is measured by 'theirs.py:score', code that its maker named; give --metric with what is to be run"
    )
    found = judging(CODE, MeasuredBy(), {}, _quiet, runs=False)  # the record is read without it
    assert (found.measure.name, found.measure.unit, found.recipe.budgets) == ("theirs.py:score", "dB", CODE.budgets)


def test_budgets_of_one_metric_do_not_bound_another() -> None:
    recipe = Recipe(evaluation=Evaluation(metric="miou", class_axis=-1), budgets=Budgets(max_metric_drop=1.0))
    found = judging(recipe, MeasuredBy(metric="top5"), {"min_metric_kept": 0.9}, _quiet, runs=True)
    assert found.measure.name == "top5"
    assert found.recipe.budgets == Budgets(min_metric_kept=0.9)
    assert found.recipe.evaluation.class_axis == -1


def test_an_object_in_place_of_the_bundle_s_metric_says_all_of_itself() -> None:
    heard: list[str] = []
    found = judging(CODE, MeasuredBy(metric=_error), {"max_metric_drop": 0.5}, heard.append, runs=True)
    assert (found.measure.name, found.measure.unit) == (f"{__name__}:_error", "")
    assert found.recipe.budgets == Budgets(max_metric_drop=0.5)
    assert len(heard) == 1  # which way is better


BOXES = Recipe(
    evaluation=Evaluation(metric="mae", postprocess="theirs.py:boxes", unit="", higher_is_better=False),
    budgets=Budgets(max_metric_drop=2),
)


def _boxes(outputs: Any) -> Any:
    return outputs


def test_postprocessing_that_a_bundle_names_is_not_run_unasked() -> None:
    for by in (MeasuredBy(), MeasuredBy(metric="mae")):
        with pytest.raises(RecipeError) as caught:
            judging(BOXES, by, {}, _quiet, runs=True)
        assert str(caught.value) == (
            "the outputs of the bundle go through 'theirs.py:boxes', code that its maker named; give --postprocess with"
            " what is to be run"
        )
    found = judging(BOXES, MeasuredBy(), {}, _quiet, runs=False)
    assert found.measure.postprocess is not None
    assert (found.measure.name, found.measure.postprocess.name) == ("mae", "theirs.py:boxes")
    assert found.recipe.budgets == BOXES.budgets


def test_postprocessing_that_the_caller_names_runs_and_the_budgets_hold() -> None:
    found = judging(BOXES, MeasuredBy(postprocess=_boxes), {}, _quiet, runs=True)
    assert found.measure.postprocess is not None
    assert found.measure.postprocess.function is _boxes
    assert found.recipe.budgets == BOXES.budgets


def test_another_metric_does_not_see_what_the_bundle_s_postprocessing_makes() -> None:
    found = judging(BOXES, MeasuredBy(metric="top5"), {"min_metric": 90.0}, _quiet, runs=True)
    assert (found.measure.name, found.measure.postprocess, found.recipe.evaluation.postprocess) == ("top5", None, None)


def test_the_record_of_top_1_behind_postprocessing_is_in_percent() -> None:
    recipe = Recipe(evaluation=Evaluation(postprocess="theirs.py:boxes"))
    assert judging(recipe, MeasuredBy(), {}, _quiet, runs=False).measure.unit == "%"


def test_points_of_accuracy_do_not_bound_another_metric() -> None:
    heard: list[str] = []
    found = judging(
        Recipe(budgets=Budgets(max_accuracy_drop=1.0)), MeasuredBy(metric="miou"), {}, heard.append, runs=True
    )
    assert found.recipe.budgets == Budgets()
    assert heard == [
        "no budget bounds 'miou': those of the bundle are for 'top1'; give --max-metric-drop, --min-metric-kept or, for"
        " top1, --max-accuracy-drop"
    ]


def test_points_that_are_asked_for_bound_a_metric_in_percent_and_no_other() -> None:
    limits = {"max_accuracy_drop": 2.0}
    found = judging(Recipe(), MeasuredBy(metric="miou"), limits, _quiet, runs=True)
    assert found.recipe.budgets == Budgets(max_metric_drop=2.0)
    bound = Recipe(evaluation=Evaluation(metric="miou"), budgets=Budgets(min_metric_kept=0.9))
    found = judging(bound, MeasuredBy(), limits, _quiet, runs=True)
    assert found.recipe.budgets == Budgets(max_metric_drop=2.0, min_metric_kept=0.9)
    with pytest.raises(RecipeError) as caught:
        judging(Recipe(), MeasuredBy(metric="mae"), limits, lambda _line: None, runs=True)
    assert str(caught.value) == (
        "a drop of accuracy does not bound 'mae', which is not in percent; give --max-metric-drop"
    )


GONE = read_recorded(
    {
        "evaluation": {"metric": "theirs", "unit": "%", "higher_is_better": False},
        "budgets": {"max_metric_drop": 1.0, "max_metric": 9.0},
        "pruning": {"importance": "theirs"},
    }
)


def test_a_record_is_read_without_its_metric_s_package() -> None:
    found = judging(GONE, MeasuredBy(), {"min_speedup": 2.0}, _quiet, runs=False)
    assert (found.measure.name, found.measure.unit, found.measure.wants_more) == ("theirs", "%", False)
    assert found.recipe.budgets == Budgets(max_metric_drop=1.0, max_metric=9.0, min_speedup=2.0)
    points = judging(GONE, MeasuredBy(), {"max_accuracy_drop": 2.0}, _quiet, runs=False)
    assert points.recipe.budgets == Budgets(max_metric_drop=2.0, max_metric=9.0)


def test_data_need_the_metric_or_another() -> None:
    with pytest.raises(RecipeError) as caught:
        judging(GONE, MeasuredBy(), {}, _quiet, runs=True)
    assert str(caught.value) == (
        "the bundle is measured by 'theirs', and no package registers that; install the one that does, or give --metric"
    )
    found = judging(GONE, MeasuredBy(metric="mae"), {"max_metric_drop": 0.5}, _quiet, runs=True)
    assert (found.measure.name, found.recipe.budgets) == ("mae", Budgets(max_metric_drop=0.5))


def test_a_name_that_the_caller_gives_has_to_be_known() -> None:
    with pytest.raises(RecipeError, match=r"got 'maee' in 'evaluation.metric'; did you mean 'mae'\?$"):
        judging(GONE, MeasuredBy(metric="maee"), {}, _quiet, runs=False)


@pytest.mark.parametrize("runs", [False, True])
def test_a_broken_package_of_the_metric_matters_only_where_that_runs(
    runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_package(tmp_path / "site", monkeypatch, METRICS.group, ("more-things", "theirs"), "import no_such_module")
    if not runs:
        assert judging(GONE, MeasuredBy(), {}, _quiet, runs=False).measure.name == "theirs"
        return
    with pytest.raises(RecipeError, match="metric 'theirs' of package 'more-things' cannot be imported"):
        judging(GONE, MeasuredBy(), {}, _quiet, runs=True)


@pytest.mark.parametrize("name", ["miou", "mae", "top5"])
def test_the_record_of_a_metric_of_the_package_s_own_says_what_that_says(name: str) -> None:
    recipe = Recipe(evaluation=Evaluation(metric=name))
    recorded, opened = (judging(recipe, MeasuredBy(), {}, _quiet, runs=runs).measure for runs in (False, True))
    assert recorded == opened
