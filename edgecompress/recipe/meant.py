"""Values as people write them after ``KEY=``: percent, units, words in capitals, one value for a list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from edgecompress.recipe.table import NONE, Table
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, built_in

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([a-zµ%]*)")
UNITS = {
    "_mb": {"b": 1e-6, "kb": 1e-3, "mb": 1.0, "gb": 1e3, "kib": 1.024e-3, "mib": 1.048576},
    "_ms": {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3},
    "_db": {"db": 1.0},
    "_drop": {"%": 1.0, "point": 1.0, "points": 1.0, "pp": 1.0},
    "_ratio": {"x": 1.0},
    "_speedup": {"x": 1.0},
}
"""By the end of a key: units that its number may be written in, and what one of them is in the key's own."""
NAMED = {kind.key: kind for kind in (METRICS, LOSSES, OBSERVERS, CRITERIA)}
ALIASES = {
    "evaluation.metric": {
        "accuracy": "top1",
        "acc": "top1",
        "top1accuracy": "top1",
        "top5accuracy": "top5",
        "f1score": "f1",
        "auc": "auroc",
        "rocauc": "auroc",
        "iou": "miou",
        "jaccard": "miou",
        "meaniou": "miou",
        "ap50": "map50",
    },
    "quantization.scheme": {"x86": "fbgemm", "arm": "qnnpack", "arm64": "qnnpack", "xnnpack": "qnnpack"},
    "pruning.goal": {"flops": "macs", "params": "parameters", "speed": "latency"},
    "low_rank.goal": {"flops": "macs", "params": "parameters", "speed": "latency"},
    "training.loss": {"ce": "cross_entropy", "bce": "bce_with_logits", "mae": "l1"},
}
"""Other names of the same thing, in small letters without signs."""


def as_meant(key: str, value: Any) -> Any:
    """A value that was written after ``KEY=``, as the key takes it; as it is where it already fits, or nothing helps.

    >>> as_meant("pruning.amount", "50%"), as_meant("budgets.max_size_mb", "300 kB")
    (0.5, 0.3)
    >>> as_meant("evaluation.metric", "accuracy"), as_meant("images.size", 224)
    ('top1', [224, 224])
    """
    if key in NAMED:
        return name_as_meant(key, value)
    forms = _forms(key)
    kinds = {form.get("type") for form in forms}
    if "boolean" in kinds and str(value).lower() in (*TRUE, *FALSE) and not kinds & {"number", "integer"}:
        return str(value).lower() in TRUE
    if isinstance(value, str) and "enum" in {name for form in forms for name in form}:
        words = {_plain(word): word for form in forms for word in form.get("enum", ())}
        return (words | ALIASES.get(key, {})).get(_plain(value), value)
    if kinds & {"number", "integer"} and "string" not in kinds:
        return _number(key, value, forms)
    listed = next((form for form in forms if form.get("type") == "array"), None)
    return value if listed is None or isinstance(value, list) else _list(value, listed)


def text_as_meant(key: str, value: Any) -> Any:
    """A text as :func:`as_meant` reads it; anything else as it is, since Python callers write numbers as numbers.

    >>> text_as_meant("pruning.amount", "50%"), text_as_meant("pruning.multiple", 8.0)
    (0.5, 8.0)
    """
    return as_meant(key, value) if isinstance(value, str) else value


def name_as_meant(key: str, value: Any) -> Any:
    """A name of the registry, whatever its letters, its signs, and whichever of its usual names it is.

    >>> name_as_meant("training.loss", "CrossEntropyLoss"), name_as_meant("evaluation.metric", "own")
    ('cross_entropy', 'own')
    """
    if not isinstance(value, str) or ":" in value:
        return value
    plain = _plain(value).removesuffix("loss")
    known = {_plain(name): name for name in built_in(NAMED[key])} | ALIASES.get(key, {})
    return known.get(plain, value)


def number_with_unit(key: str, text: str) -> float | None:
    """The number that a text with a unit is, in the unit of a key or an option that ends as :data:`UNITS` lists.

    >>> number_with_unit("max_latency_ms", "1.5s"), number_with_unit("max_latency_ms", "3 kB")
    (1500.0, None)
    """
    found = NUMBER.fullmatch(text.strip().lower())
    if found is None:
        return None
    factors = next((units for end, units in UNITS.items() if key.endswith(end)), {})
    factor = factors.get(found[2]) if found[2] else 1.0
    return None if factor is None else float(f"{float(found[1]) * factor:.12g}")


def _number(key: str, value: Any, forms: tuple[dict[str, Any], ...]) -> Any:
    if isinstance(value, str):
        share = any(form.get("maximum", form.get("exclusiveMaximum", 2)) <= 1 for form in forms)
        if share and (found := NUMBER.fullmatch(value.strip().lower())) and found[2] == "%":
            return float(f"{float(found[1]) / 100:.12g}")
        number = number_with_unit(key, value)
        value = value if number is None else number
    whole = all(form.get("type") != "number" for form in forms)
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _list(value: Any, listed: dict[str, Any]) -> Any:
    """One value in the place of a list: of a pair, both."""
    items: dict[str, Any] = listed.get("items") or next(iter(listed.get("prefixItems", ())), {})
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_word = isinstance(value, str) and value != NONE and re.fullmatch(r"[\w.:*/-]+", value) is not None
    if not (is_word if items.get("type") == "string" else is_number):
        return value
    least = listed.get("minItems", 1)
    return [value] * (least if least == listed.get("maxItems") else 1)


@cache
def _forms(key: str) -> tuple[dict[str, Any], ...]:
    """What a key may hold, as JSON's schema says it; nothing where it is no key of a plain value."""
    *tables, last = key.split(".")
    kind: Any = Recipe
    for name in tables:
        field = kind.model_fields.get(name)
        kind = None if field is None else field.annotation
        if not (isinstance(kind, type) and issubclass(kind, Table)):
            return ()
    said = kind.model_json_schema()["properties"].get(last, {})
    return tuple(_options(said))


def _options(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for option in said.get("anyOf", [said]):
        yield {**option, "enum": [option["const"]]} if "const" in option else option


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
