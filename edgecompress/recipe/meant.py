"""Values as people write them after ``KEY=``: percent, units, words in capitals, one value for a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from edgecompress.recipe.quantities import Forms, number_as_meant
from edgecompress.recipe.table import NONE, forms_of
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, built_in

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
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
        return number_as_meant(key, value, forms)
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


def _list(value: Any, listed: Mapping[str, Any]) -> Any:
    """One value in the place of a list: of a pair, both."""
    items: dict[str, Any] = listed.get("items") or next(iter(listed.get("prefixItems", ())), {})
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_word = isinstance(value, str) and value != NONE and re.fullmatch(r"[\w.:*/-]+", value) is not None
    if not (is_word if items.get("type") == "string" else is_number):
        return value
    least = listed.get("minItems", 1)
    return [value] * (least if least == listed.get("maxItems") else 1)


@cache
def _forms(key: str) -> Forms:
    return forms_of(Recipe, key)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
