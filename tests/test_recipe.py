"""A recipe goes to TOML and back, and every key of it can be overridden."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe import Budgets, Quantization, Recipe, dump_recipe, key_paths, override, parse_recipe

positive = st.none() | st.floats(1e-6, 1e6)
recipes = st.builds(
    Recipe,
    seed=st.integers(0, 2**31),
    quantization=st.builds(
        Quantization,
        enabled=st.booleans(),
        scheme=st.sampled_from(["fbgemm", "qnnpack"]),
        keep_float=st.lists(st.text(min_size=1), max_size=3).map(tuple),
    ),
    budgets=st.builds(Budgets, max_accuracy_drop=st.none() | st.floats(-5, 100), min_speedup=positive),
)


@given(recipes)
def test_it_comes_back_from_toml_as_it_was(recipe: Recipe) -> None:
    assert parse_recipe(tomllib.loads(dump_recipe(recipe))) == recipe


def _value(recipe: Recipe, key: str) -> Any:
    value: Any = recipe
    for part in key.split("."):
        value = getattr(value, part)
    return value


VALUES = {
    "seed": "7",
    "order": '["quantization"]',
    "export.formats": '["onnx", "ort"]',
    "export.browser": "true",
    "budgets.min_browser_agreement": "0.5",
    "pruning.amount": "0.25",
    "pruning.goal": "macs",
    "pruning.spread": "global",
    "pruning.importance": "taylor",
    "pruning.method": "block",
    "pruning.multiple": "8",
    "pruning.protect": '["head*"]',
    "pruning.schedule": "cubic",
    "pruning.steps": "2",
    "pruning.teacher": "false",
    "pruning.warn_above": "0.5",
    "training.task": "regression",
    "training.epochs": "2",
    "training.learning_rate": "0.5",
    "training.weight_decay": "0.5",
    "training.augmentation": "crop_and_flip",
    "training.average_decay": "0.9",
    "training.accumulation": "2",
    "training.max_gradient_norm": "0.5",
    "training.patience": "2",
    "low_rank.goal": "energy",
    "low_rank.amount": "0.25",
    "low_rank.energy": "0.75",
    "low_rank.rank_ratio": "0.75",
    "low_rank.multiple": "8",
    "low_rank.whitening": "false",
    "low_rank.protect": '["head*"]',
    "low_rank.include": '["head*"]',
    "distillation.temperature": "2.0",
    "distillation.alpha": "0.25",
    "distillation.hints": '["layer1"]',
    "distillation.hint_weight": "0.5",
    "distillation.attention": '["layer1=layer2"]',
    "distillation.attention_weight": "0.5",
    "distillation.relations": '["layer3"]',
    "distillation.relation_weight": "0.5",
    "quantization.scheme": "fbgemm",
    "quantization.granularity": "per_tensor",
    "quantization.observer": "mse",
    "quantization.percentile": "99.0",
    "quantization.narrow": "auto",
    "quantization.fallback_evaluations": "4",
    "quantization.keep_float": '["head*"]',
    "export.opset": "18",
    "export.batch_size": "4",
    "export.simplify": "false",
    "export.min_sqnr_db": "50.0",
    "images.size": "[32, 48]",
    "images.mean": "[0.5, 0.5, 0.5]",
    "images.std": "[0.5, 0.5, 0.5]",
    "cpu.threads": "2",
    "cpu.runs": "20",
    "cpu.emulate": '["haswell"]',
} | {f"budgets.{name}": "0.5" for name in Budgets.model_fields}


@pytest.mark.parametrize("key", [key for key in key_paths() if key != "export.dynamic_axes"])
def test_every_key_can_be_set(key: str) -> None:
    text = VALUES.get(key, "true")
    changed = override(Recipe(), [f"{key}={text}"])
    assert _value(changed, key) != _value(Recipe(), key)
    assert dump_recipe(changed) != dump_recipe(Recipe())


def test_a_dynamic_axis_can_be_set() -> None:
    changed = override(Recipe(), ["export.dynamic_axes.ids.1=length"])
    assert changed.export.dynamic_axes == {"ids": {"1": "length"}}


def test_none_takes_a_budget_away() -> None:
    recipe = override(Recipe(), ["budgets.min_speedup=2"])
    assert override(recipe, ["budgets.min_speedup=none"]).budgets.min_speedup is None


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("quantization.sheme=x", "did you mean 'quantization.scheme'?"),
        ("quantization=true", "did you mean 'quantization.scheme'?"),
        ("quantization.enabled=maybe", "expected true or false, got 'maybe' in 'quantization.enabled'"),
        ("quantization.scheme=int4", "in 'quantization.scheme'"),
        ("pruning.amount=1.5", "in 'pruning.amount'"),
        ("cpu.threads=0", "in 'cpu.threads'"),
        ("images.size=[0, 3]", "in 'images.size.0'"),
        ("export.dynamic_axes.ids.x=length", "'x' cannot stand in 'export.dynamic_axes.ids.x'"),
        ("seed", "write --set KEY=VALUE"),
    ],
)
def test_a_wrong_override_names_its_key(assignment: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override(Recipe(), [assignment])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


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
            "not the last",
        ),
    ],
)
def test_the_order_of_techniques_is_checked(tables: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert parse_recipe(tables).techniques == ("pruning",)
    else:
        with pytest.raises(RecipeError, match=words):
            parse_recipe(tables)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe().quantization.enabled = True


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("budgets.max_size_mb=inf", "expected a value that is a finite number, got inf in 'budgets.max_size_mb'"),
        ("budgets.min_sqnr_db=nan", "expected a value that is a finite number, got nan in 'budgets.min_sqnr_db'"),
        ("budgets.max_accuracy_drop=inf", "got inf in 'budgets.max_accuracy_drop'"),
        ("images.std=[inf, 1.0, 1.0]", "got inf in 'images.std.0'"),
        ("images.size=[1]", "a value is missing: 'images.size.1'"),
        ("images.size=[1, 2, 3]", "too many values in 'images.size': [1, 2, 3]"),
        ("cpu.threads=99999999999", "less than or equal to 256, got 99999999999 in 'cpu.threads'"),
        ("export.min_sqnr_db=201", "less than or equal to 200, got 201 in 'export.min_sqnr_db'"),
    ],
)
def test_a_number_out_of_bounds_is_named(assignment: str, line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override(Recipe(), [assignment])
    assert line in str(caught.value)
