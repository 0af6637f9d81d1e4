"""A number with its unit is read in the unit of its key."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.recipe.quantities import Forms, number_as_meant, number_with_unit

SHARE = [{"type": "number", "exclusiveMaximum": 1}]


def test_a_number_without_a_unit_is_itself() -> None:
    assert number_with_unit("max_size_mb", " 3.5 ") == 3.5
    assert number_with_unit("anything", "1e-3") == 0.001
    assert number_with_unit("anything", "3 kB") is None
    assert number_with_unit("max_size_mb", "small") is None


@pytest.mark.parametrize(
    ("key", "value", "forms", "meant"),
    [
        ("amount", "50%", SHARE, 0.5),
        ("amount", "0.5", SHARE, 0.5),
        ("max_size_mb", "300kB", [{"type": "number"}], 0.3),
        ("epochs", "3", [{"type": "integer"}], 3),
        ("epochs", 3.0, [{"type": "integer"}], 3),
        ("epochs", "50%", [{"type": "integer"}], "50%"),
        ("max_metric_drop", "1%", [{"type": "number"}, {"type": "null"}], "1%"),
    ],
)
def test_a_number_as_its_key_takes_it(key: str, value: Any, forms: Forms, meant: Any) -> None:
    found = number_as_meant(key, value, forms)
    assert (found, type(found)) == (meant, type(meant))
