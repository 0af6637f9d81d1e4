"""Every key of a recipe can be overridden, and a wrong override names the key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.overrides import override, parse_assignment
from edgecompress.recipe.tables import Recipe, key_paths, parse_recipe
from edgecompress.recipe.toml import dump_recipe


def _value(recipe: Recipe, key: str) -> Any:
    value: Any = recipe
    for part in key.split("."):
        value = getattr(value, part)
    return value


VALUES = {
    "evaluation.metric": "miou",
    "evaluation.postprocess": "mine.py:boxes",
    "evaluation.unit": "dB",
    "seed": "7",
    "data.folder": "coco",
    "data.classes": '["cat", "dog"]',
    "data.batch_size": "4",
    "data.max_tokens": "64",
    "images.resize": "crop",
    "images.crop_share": "0.5",
    "images.border": "0",
    "images.channels": "bgr",
    "images.layout": "channels_last",
    "images.scaled": "false",
    "images.mask_values": "[0, 255]",
    "order": '["quantization"]',
    "pruning.amount": "0.25",
    "pruning.goal": "macs",
    "pruning.spread": "global",
    "pruning.importance": "taylor",
    "pruning.method": "block",
    "pruning.blocks": "0.25",
    "pruning.residual": "keep",
    "pruning.multiple": "8",
    "pruning.protect": '["head*"]',
    "pruning.schedule": "cubic",
    "pruning.steps": "2",
    "pruning.warn_above": "0.5",
    "training.task": "regression",
    "training.loss": "smooth_l1",
    "training.ignore_index": "255",
    "training.teacher": "false",
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
    "distillation.block_weight": "0.5",
    "distillation.attention": '["layer1=layer2"]',
    "distillation.attention_weight": "0.5",
    "distillation.relations": '["layer3"]',
    "distillation.relation_weight": "0.5",
    "distillation.output_weights": "{boxes = 0.5}",
    "evaluation.class_axis": "-1",
    "quantization.scheme": "fbgemm",
    "quantization.granularity": "per_tensor",
    "quantization.weight_bits": "{conv1 = 4}",
    "quantization.observer": "mse",
    "quantization.percentile": "99.0",
    "quantization.narrow": "auto",
    "quantization.placement": "measured",
    "quantization.prefer": "size",
    "quantization.training": "always",
    "quantization.training_epochs": "3",
    "quantization.training_rate": "0.05",
    "quantization.fallback_evaluations": "4",
    "quantization.exact_layers": "2",
    "quantization.keep_float": '["head*"]',
    "quantization.uint16_activations": '["*norm*"]',
    "export.opset": "18",
    "export.formats": '["onnx", "ort"]',
    "export.browser": "true",
    "export.license": "MIT",
    "export.image_input": "uint8",
    "export.image_layout": "nhwc",
    "export.batch_size": "4",
    "export.simplify": "false",
    "export.min_sqnr_db": "50.0",
    "images.size": "[32, 48]",
    "images.mean": "[0.5, 0.5, 0.5]",
    "images.std": "[0.5, 0.5, 0.5]",
    "report.examples": "8",
    "cpu.isa": "wasm",
    "cpu.threads": "2",
    "cpu.runs": "20",
    "cpu.emulate": '["haswell"]',
    "validation.on": '["browser", "qemu:haswell"]',
    "validation.device": "qnn:sm8750",
    "validation.samples": "10",
    "device.url": "ssh://pi@board",
    "device.python": "/opt/python/bin/python3",
    "device.onnxruntime": "1.27.*",
    "device.folder": "/tmp",
    "device.runner": "/data/local/tmp/perf_test",
    "device.threads": "4",
    "device.cores": "[2, 3]",
} | {f"budgets.{name}": "0.5" for name in Budgets.model_fields}


FREE = ("export.batch_axes", "export.dynamic_axes", "options")
"""Keys that hold tables under a user's own names."""


@pytest.mark.parametrize("key", [key for key in key_paths() if key not in FREE])
def test_every_key_can_be_set(key: str) -> None:
    text = VALUES.get(key, "true")
    changed = override(Recipe(), [f"{key}={text}"])
    assert _value(changed, key) != _value(Recipe(), key)
    assert parse_recipe(tomllib.loads(dump_recipe(changed))) == changed


def test_a_batch_axis_can_be_set() -> None:
    changed = override(Recipe(), ["export.batch_axes.h=1", 'export.batch_axes."rate.0"=-1'])
    assert changed.export.batch_axes == {"h": 1, "rate.0": -1}
    assert parse_recipe(tomllib.loads(dump_recipe(changed))) == changed


def test_the_weight_of_an_output_can_be_set() -> None:
    changed = override(Recipe(), ["distillation.output_weights.boxes=2", 'distillation.output_weights."p.1"=0'])
    assert changed.distillation.output_weights == {"boxes": 2.0, "p.1": 0.0}
    assert parse_recipe(tomllib.loads(dump_recipe(changed))) == changed


def test_a_dynamic_axis_can_be_set() -> None:
    changed = override(Recipe(), ["export.dynamic_axes.ids.1=length"])
    assert changed.export.dynamic_axes == {"ids": {"1": "length"}}


@pytest.mark.parametrize(
    ("assignment", "axes"),
    [
        ('export.dynamic_axes={ids={"1"="length"}}', {"ids": {"1": "length"}}),
        ('export.dynamic_axes.ids={"1"="length", 2="width"}', {"ids": {"1": "length", "2": "width"}}),
        ('export.dynamic_axes."input.1".2=length', {"input.1": {"2": "length"}}),
        ("export.dynamic_axes.input:0.2=length", {"input:0": {"2": "length"}}),
    ],
)
def test_dynamic_axes_can_be_set_as_tables_and_with_dotted_names(assignment: str, axes: Any) -> None:
    assert override(Recipe(), [assignment]).export.dynamic_axes == axes


def test_a_later_assignment_goes_over_an_earlier_one() -> None:
    assignments = ["export.dynamic_axes.ids=length", "export.dynamic_axes.ids.1=length", "seed=1", "seed=2"]
    changed = override(Recipe(), assignments)
    assert (changed.export.dynamic_axes, changed.seed) == ({"ids": {"1": "length"}}, 2)


def test_a_value_that_is_taken_away_stays_away() -> None:
    without = override(Recipe(), ["training.average_decay=none"])
    assert override(without, ["seed=1"]).training.average_decay is None


def test_none_is_a_word_where_it_is_one_of_the_choices() -> None:
    recipe = override(Recipe(), ["training.augmentation=crop_and_flip"])
    assert override(recipe, ["training.augmentation=none"]).training.augmentation == "none"


@pytest.mark.parametrize(
    ("text", "value"),
    [("seed=3", 3), ("seed = 3", 3), ("order=a=b", "a=b"), ("order=", ""), ("seed=1\norder=[]", "1\norder=[]")],
)
def test_a_value_is_toml_or_a_word(text: str, value: Any) -> None:
    assert parse_assignment(text).value == value


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
        ("seed", "write KEY=VALUE"),
        ("=3", "unknown key ''"),
        ("pruning.amount=fast", "expected number, got 'fast' in 'pruning.amount'"),
        ("pruning.amont=0.4", "did you mean 'pruning.amount'?"),
        ("cpu.threads=", "expected whole number, got '' in 'cpu.threads'"),
        ("cpu.isa=avx2", "or 'wasm', got 'avx2' in 'cpu.isa'"),
        ("images.size=small", "expected a list, got 'small' in 'images.size'"),
        ("quantization.keep_float=3", "expected a list, got 3 in 'quantization.keep_float'"),
        ('order=["prune"]', "got 'prune' in 'order'; did you mean 'pruning'?"),
        ("budgets.max_size_mb=small", "expected number, got 'small' in 'budgets.max_size_mb'"),
        ("export.dynamic_axes=none", "expected a table, got 'none' in 'export.dynamic_axes'"),
        ("export.dynamic_axes.ids=length", "expected a table, got 'length' in 'export.dynamic_axes.ids'"),
        ("export.dynamic_axes.ids.1=3", "expected text, got 3 in 'export.dynamic_axes.ids.1'"),
        ("export.batch_axes.h=first", "expected whole number, got 'first' in 'export.batch_axes.h'"),
        ("export.batch_axes.h=1.5", "got 1.5 in 'export.batch_axes.h'"),
        ("export.batch_axes.h=true", "expected whole number, got True in 'export.batch_axes.h'"),
        ("export.batch_axes.h=-2", "greater than or equal to -1, got -2 in 'export.batch_axes.h'"),
        ("export.batch_axes=1", "expected a table, got 1 in 'export.batch_axes'"),
        ("export.batch_axes.=1", "unknown key 'export.batch_axes.'"),
        ("export.dynamic_axes.=3", "unknown key 'export.dynamic_axes.'"),
        ('quantization.keep_float=["\udcff"]', "a text is not UTF-8"),
    ],
)
def test_a_wrong_override_names_its_key(assignment: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        override(Recipe(), [assignment])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


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
