"""The schema of a profile's file accepts and refuses what the loader does."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from edgecompress.bundle.outcome import recipe_file
from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import key_paths
from edgecompress.targets import load_profile, profile_names
from edgecompress.targets.inheritance import DEVICES
from edgecompress.targets.schema import profile_schema

TYPES = {"string": str, "boolean": bool, "object": dict, "array": list}


def _holds(value: Any, schema: dict[str, Any]) -> bool:
    """Draft 7, as far as the schema uses it; an unknown keyword is an error."""
    return all(_keyword(key, limit, value, schema) for key, limit in schema.items())


def _keyword(key: str, limit: Any, value: Any, schema: dict[str, Any]) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match key:
        case "type":
            return (
                number and (limit == "number" or value == int(value))
                if limit in ("number", "integer")
                else (isinstance(value, TYPES[limit]))
            )
        case "enum":
            return value in limit
        case "const":
            return bool(value == limit)
        case "anyOf":
            return any(_holds(value, each) for each in limit)
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            bounds = {"minimum": value >= limit, "maximum": value <= limit} if number else {}
            strict = {"exclusiveMinimum": value > limit, "exclusiveMaximum": value < limit} if number else {}
            return not number or {**bounds, **strict}[key]
        case "pattern":
            return not isinstance(value, str) or re.search(limit, value) is not None
        case "minItems" | "maxItems":
            return not isinstance(value, list) or (len(value) >= limit if key == "minItems" else len(value) <= limit)
        case "items":
            kinds = limit if isinstance(limit, list) else [limit] * len(value)
            return not isinstance(value, list) or all(map(_holds, value, kinds))
        case "properties" | "patternProperties" | "additionalProperties":
            return not isinstance(value, dict) or all(
                _holds(each, kind) if isinstance(kind := _kind(name, schema), dict) else kind
                for name, each in value.items()
            )
        case "$schema" | "title" | "description" | "default" | "examples":
            return True
    raise AssertionError(key)


def _kind(name: str, schema: dict[str, Any]) -> Any:
    patterns = [kind for pattern, kind in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
    return schema.get("properties", {}).get(name) or next(iter(patterns), schema.get("additionalProperties", True))


def _keys(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in schema["properties"].items():
        if "properties" in part:
            yield from _keys(part, f"{prefix}{name}.")
        else:
            yield prefix + name, part


def test_it_has_every_key_with_a_description() -> None:
    keys = dict(_keys(profile_schema()))
    assert set(keys) == {*key_paths(), "extends", "name", "strategy", "reason"}
    assert [key for key, part in keys.items() if not part.get("description")] == []
    assert json.loads(json.dumps(profile_schema())) == profile_schema()


@pytest.mark.parametrize("name", profile_names())
def test_it_accepts_what_comes_along_and_what_a_bundle_holds(name: str) -> None:
    room = resources.files("edgecompress.targets")
    file = room / f"{name}.toml" if (room / f"{name}.toml").is_file() else room / DEVICES / f"{name}.toml"
    assert _holds(tomllib.loads(file.read_text()), profile_schema())
    assert _holds(tomllib.loads(recipe_file(load_profile(name))), profile_schema())


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("", True),
        ('extends = "edge"\nname = "drone"\nstrategy = "s"\nreason = "r"', True),
        ("extends = 3", False),
        ("reason = true", False),
        ("extend = 'edge'", False),
        ("pruning.amount = 0.4", True),
        ("pruning.amount = 1", False),
        ("pruning.amount = 1.5", False),
        ("pruning.amount = true", False),
        ("pruning.amount = 'fast'", False),
        ("pruning.amont = 0.4", False),
        ("pruning = 3", False),
        ("seed = -1", False),
        ("seed = 1.5", False),
        ("cpu.threads = 256", True),
        ("cpu.threads = 257", False),
        ("cpu.isa = 'wasm'", True),
        ("cpu.isa = 'none'", True),
        ("cpu.isa = 'avx'", False),
        ("cpu.emulate = ['haswell']", True),
        ("cpu.emulate = 'haswell'", False),
        ("cpu.emulate = [3]", False),
        ("validation.on = ['browser', 'qemu:haswell']", True),
        ("validation.on = 'none'", True),
        ("validation.on = 'browser'", False),
        ("validation.on = [3]", False),
        ("training.average_decay = 'none'", True),
        ("training.average_decay = 'never'", False),
        ("training.augmentation = 'none'", True),
        ("budgets.max_accuracy_drop = -1", True),
        ("budgets.min_speedup = 'none'", True),
        ("budgets.min_speedup = 0", False),
        ("images.size = [32, 32]", True),
        ("images.size = [32]", False),
        ("images.size = [32, 32, 32]", False),
        ("images.size = 'none'", True),
        ("images.std = [0.5, 0.5, 0]", False),
        ("images.mean = [0.5]", True),
        ("images.mean = []", False),
        ("images.channels = 'gray'\nimages.mean = [0.5]\nimages.std = [0.5]", True),
        ("images.channels = 'grey'", False),
        ("images.resize = 'letterbox'", True),
        ("images.border = 256", False),
        ("images.mask_values = [0, 255]", True),
        ("images.mask_values = [-1]", False),
        ("data.folder = 'coco'", True),
        ("data.folder = 'voc'", False),
        ("data.classes = ['cat', 'dog']", True),
        ("data.batch_size = 0", False),
        ("order = ['quantization']", True),
        ("order = 'pruning'", False),
        ("export.dynamic_axes.ids.1 = 'length'", True),
        ("export.dynamic_axes.ids.x = 'length'", False),
        ("export.dynamic_axes.ids.1 = 'a b'", False),
        ("export.dynamic_axes.ids = 'length'", False),
    ],
)
def test_it_agrees_with_the_loader(text: str, right: bool, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text)
    assert _holds(tomllib.loads(text), profile_schema()) is right
    try:
        load_profile(str(tmp_path / "own.toml"))
    except RecipeError:
        assert not right
    else:
        assert right
