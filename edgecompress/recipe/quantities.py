"""Numbers with their unit, as people write them: percent, sizes, times, factors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Forms = Sequence[Mapping[str, Any]]
"""What a key may hold, as JSON's schema says it: alternatives of a plain value."""
NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([a-zµ%]*)")
UNITS = {
    "_mb": {"b": 1e-6, "kb": 1e-3, "mb": 1.0, "gb": 1e3, "kib": 1.024e-3, "mib": 1.048576},
    "_ms": {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3},
    "_db": {"db": 1.0},
    "_accuracy_drop": {"%": 1.0, "point": 1.0, "points": 1.0, "pp": 1.0},
    "_growth": {"%": 1.0},
    "_slowdown": {"%": 1.0},
    "_ratio": {"x": 1.0},
    "_speedup": {"x": 1.0},
}
"""By the end of a key: units that its number may be written in, and what one of them is in the key's own."""


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


def shortest(number: float) -> str:
    """The shortest text that reads back as the same number.

    >>> shortest(20.0), shortest(1234567.5), shortest(0.1)
    ('20', '1234567.5', '0.1')
    """
    return repr(float(number)).removesuffix(".0")


def number_as_meant(key: str, value: Any, forms: Forms) -> Any:
    """A text with a number, percent of a share among them, as the key takes it; anything else as it is.

    >>> number_as_meant("amount", "50%", [{"type": "number", "maximum": 1}])
    0.5
    """
    if isinstance(value, str):
        share = any(form.get("maximum", form.get("exclusiveMaximum", 2)) <= 1 for form in forms)
        if share and (found := NUMBER.fullmatch(value.strip().lower())) and found[2] == "%":
            return float(f"{float(found[1]) / 100:.12g}")
        number = number_with_unit(key, value)
        value = value if number is None else number
    whole = all(form.get("type") != "number" for form in forms)
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value
