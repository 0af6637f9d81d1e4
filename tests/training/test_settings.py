"""Settings that mean nothing are refused when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.errors import RecipeError
from edgecompress.training import Settings


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("epochs", 0, "give a whole number of 1 or more"),
        ("accumulation", 0, "give a whole number of 1 or more"),
        ("patience", 0, "give a whole number of 1 or more, or None"),
        ("checkpoint_steps", 0, "give a whole number of 1 or more, or None"),
        ("seed", -1, "give a whole number of 0 or more"),
        ("weight_decay", float("nan"), "give 0 or more"),
        ("checkpoint_seconds", -1, "give 0 or more"),
        ("learning_rate", 0, "give a number above 0"),
        ("max_gradient_norm", float("nan"), "give a number above 0, or None"),
    ],
)
def test_an_impossible_value_is_refused(name: str, value: Any, fix: str) -> None:
    with pytest.raises(RecipeError, match=f"^{name} is {value}; {fix}$"):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("optimizer", "named"),
    [("adam", "Adam"), ("AdamW", "AdamW"), ("sgd", "SGD"), ("optimizer", "Adam"), (3, "Adam"), (["adam"], "Adam")],
)
def test_what_makes_no_optimizer_is_refused(optimizer: Any, named: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Settings(optimizer=optimizer)
    assert str(caught.value) == (
        f"optimizer is {optimizer!r}; give a class of torch.optim, such as torch.optim.{named}, or an optimizer of the"
        " parameters that are trained"
    )
