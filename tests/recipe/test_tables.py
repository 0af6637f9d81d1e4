"""A recipe is checked when it is made: its order, its types; and it cannot be changed."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Recipe, parse_recipe


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"pruning": {"enabled": True, "steps": 4}, "training": {"epochs": 3}},
            "'pruning.steps' is 4, 'training.epochs' 3; give an epoch to each step",
        ),
        ({"order": ["quantization", "pruning"], "pruning": {"enabled": True}}, None),
        ({"order": ["pruning"], "quantization": {"enabled": True}}, "not listed in 'order'"),
        ({"order": ["pruning", "pruning"]}, "stands twice"),
        (
            {
                "order": ["quantization", "pruning"],
                "pruning": {"enabled": True},
                "quantization": {"enabled": True},
            },
            "'quantization' stands before 'pruning' in 'order'; compress progressively",
        ),
        (
            {"order": ["distillation", "pruning"], "pruning": {"enabled": True}, "distillation": {"enabled": True}},
            "'distillation' stands before 'pruning' in 'order'; compress progressively",
        ),
        (
            {
                "order": ["pruning", "quantization", "distillation"],
                **{name: {"enabled": True} for name in ("pruning", "distillation", "quantization")},
            },
            "'quantization' stands before 'distillation' in 'order'; compress progressively",
        ),
    ],
)
def test_the_order_of_techniques_is_checked(tables: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert parse_recipe(tables).techniques == ("pruning",)
    else:
        with pytest.raises(RecipeError, match=words):
            parse_recipe(tables)


@pytest.mark.parametrize("order", [["pruning", "low_rank"], ["low_rank", "pruning"]])
def test_what_makes_the_network_smaller_comes_in_any_order(order: list[str]) -> None:
    enabled = {name: {"enabled": True} for name in ("pruning", "low_rank", "quantization")}
    assert parse_recipe({"order": [*order, "quantization"], **enabled}).techniques == (*order, "quantization")


@pytest.mark.parametrize("word", ["none", "None"])
def test_no_value_can_stand_in_toml_where_there_need_be_none(word: str) -> None:
    tables = {"training": {"average_decay": word}}
    if word == "none":
        assert parse_recipe(tables).training.average_decay is None
    else:
        with pytest.raises(RecipeError, match=r"expected number, got 'None' in 'training\.average_decay'"):
            parse_recipe(tables)


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ({"pruning": {"enabled": 1}}, "expected true or false, got 1 in 'pruning.enabled'"),
        ({"pruning": {"amount": True}}, "expected number, got True in 'pruning.amount'"),
        ({"cpu": {"threads": "2"}}, "expected whole number, got '2' in 'cpu.threads'"),
        ({"cpu": {"threads": 2.0}}, "expected whole number, got 2.0 in 'cpu.threads'"),
        ({"quantization": {"keep_float": [1]}}, "expected text, got 1 in 'quantization.keep_float.0'"),
        ({"cpu": {"threads": "none"}}, "expected whole number, got 'none' in 'cpu.threads'"),
        ({"pruning": 3}, "got 3 in 'pruning'"),
    ],
)
def test_nothing_is_made_of_another_type(tables: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tables)
    assert line in str(caught.value)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().quantization.enabled = True
