"""A fault that pydantic finds is one line with the path of the key."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from edgecompress.recipe.faults import describe_fault
from edgecompress.recipe.unknown import WIDTH

SAID = {
    "inner.count": "",
    "inner.kind": "Which side, ``left`` is ours.",
    "inner.both": "Sides, in their order.",
    "share": "Of all.",
}


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    count: int = 0
    kind: Literal["left", "right"] = "left"
    both: list[Literal["left", "right"]] = []


class Outer(BaseModel):
    inner: Inner = Inner()
    share: float = 0.5


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inner": {"count": "many"}}, "expected whole number, got 'many' in 'inner.count'"),
        ({"share": "half"}, "expected number, got 'half' in 'share'"),
        ({"share": "50%"}, "expected number, got '50%' in 'share'; write a number without a unit: of all"),
        ({"inner": 3}, "expected a table, got 3 in 'inner'"),
        ({"inner": {"cuont": 3}}, "unknown key 'inner.cuont'; did you mean 'inner.count'?"),
        (
            {"inner": {"kind": "c"}},
            "expected a value that is 'left' or 'right', got 'c' in 'inner.kind'; which side, left is ours",
        ),
        (
            {"inner": {"kind": "rigth"}},
            "expected a value that is 'left' or 'right', got 'rigth' in 'inner.kind'; did you mean 'right'?",
        ),
        (
            {"inner": {"both": ["left", "c"]}},
            "expected a value that is 'left' or 'right', got 'c' in 'inner.both'; sides, in their order",
        ),
        ({"inner": {"bits": 8}}, f"unknown key 'inner.bits'; {WIDTH}"),
    ],
)
def test_the_first_fault_is_named_with_its_path(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert describe_fault(caught.value, SAID) == told
