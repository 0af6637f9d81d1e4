"""Tables made in Python: checked as those from TOML are, whatever way they are made."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.table import Table, paths_of
from edgecompress.recipe.tables import (
    Cpu,
    Distillation,
    Export,
    LowRank,
    Pruning,
    Quantization,
    Recipe,
    Training,
    parse_recipe,
)
from edgecompress.recipe.toml import dump_recipe
from tests.drawn_recipes import tables

HOLDS_TOGETHER = "'quantization' is enabled but not listed in 'order'"


def _numpy(value: Any) -> Any:
    """The same value as NumPy has it, where it has it."""
    if isinstance(value, dict):
        return {key: _numpy(each) for key, each in value.items()}
    if isinstance(value, list):
        return tuple(_numpy(each) for each in value)
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int) and abs(value) < 2**63:
        return np.int64(value)
    return np.float64(value) if isinstance(value, float) else value


def _records(drawn: dict[str, Any]) -> dict[str, Any]:
    """The same values with records in the place of tables."""
    kinds = {name: field.annotation for name, field in Recipe.model_fields.items()}
    made = {}
    for name, value in drawn.items():
        kind: Any = kinds.get(name)
        is_table = isinstance(kind, type) and issubclass(kind, Table) and isinstance(value, dict)
        made[name] = kind(**value) if is_table else value
    return made


WAYS: dict[str, Callable[[dict[str, Any]], Recipe]] = {
    "nested dicts": lambda drawn: Recipe(**drawn),
    "records": lambda drawn: Recipe(**_records(drawn)),
    "NumPy's values": lambda drawn: Recipe(**_records(_numpy(drawn))),
    "a copy": lambda drawn: Recipe().model_copy(update=_records(drawn)),
}


@given(tables(), st.sampled_from(sorted(WAYS)))
def test_whatever_can_be_made_comes_back_from_toml_and_nothing_else_is_made(drawn: dict[str, Any], way: str) -> None:
    try:
        made = WAYS[way](drawn)
    except RecipeError:
        with pytest.raises(RecipeError):
            parse_recipe(drawn)
    else:
        assert made == parse_recipe(drawn) == parse_recipe(tomllib.loads(dump_recipe(made)))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Recipe(order=(), quantization=Quantization(enabled=True)), HOLDS_TOGETHER),
        (lambda: Recipe(quantization=Quantization(enabled=True)).model_copy(update={"order": ()}), HOLDS_TOGETHER),
        (lambda: Recipe(order=("pruning", "pruning")), "stands twice in 'order'"),
        (lambda: Recipe(distillation=Distillation(enabled=True), training=Training(epochs=0)), "'training.epochs' is"),
        (lambda: Pruning(amount=2), "less than 1, got 2 in 'pruning.amount'"),
        (lambda: Pruning(amount=float("nan")), "a finite number, got nan in 'pruning.amount'"),
        (lambda: Pruning(amount=True), "expected number, got True in 'pruning.amount'"),
        (lambda: Pruning(enabled=1), "expected true or false, got 1 in 'pruning.enabled'"),  # type: ignore[arg-type]
        (lambda: Cpu(threads="2"), "expected whole number, got '2' in 'cpu.threads'"),  # type: ignore[arg-type]
        (lambda: LowRank(protect="head"), "expected a list, got 'head' in 'low_rank.protect'"),  # type: ignore[arg-type]
        (lambda: Pruning(amont=0.5), "unknown key 'pruning.amont'; did you mean 'pruning.amount'?"),  # type: ignore[call-arg]
        (lambda: Recipe(export=Pruning()), "unknown key 'export.enabled'"),  # type: ignore[arg-type]
        (
            lambda: Pruning(protect=({"head"},)),  # type: ignore[arg-type]
            "TOML cannot hold 'pruning.protect': it is, or holds, a set; give numbers, texts, lists or tables",
        ),
        (lambda: Recipe(seed=10**5000), "TOML cannot hold 'seed'"),
        (lambda: Recipe().model_copy(update={"sed": 1}), "unknown key 'sed'; did you mean 'seed'?"),
        (lambda: Recipe().pruning.model_copy(update={"amount": -1}), "got -1 in 'pruning.amount'"),
    ],
)  # fmt: skip
def test_a_table_that_means_nothing_is_refused_with_its_path(make: Callable[[], Table], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make()
    assert line in str(caught.value)


def test_a_copy_shares_nothing_with_its_table() -> None:
    first = Export(dynamic_axes={"x": {"2": "length"}})
    copied = first.model_copy()
    copied.dynamic_axes["x"]["3"] = "width"
    assert first.dynamic_axes == {"x": {"2": "length"}}


def test_a_number_may_be_numpys_and_a_list_a_tuple() -> None:
    assert Pruning(amount=np.float32(0.5), protect=["a"]) == Pruning(amount=0.5, protect=("a",))  # type: ignore[arg-type]
    assert Cpu(isa="none").isa is None  # type: ignore[arg-type]


def test_paths_of_a_table_begin_below_it() -> None:
    assert set(paths_of(Budgets)) == set(Budgets.model_fields)
    assert "training.epochs" in paths_of(Recipe)


@pytest.mark.parametrize(
    ("table", "key", "written", "told"),
    [
        ("pruning", "amount", "50%", "write 0.5, without quotes"),
        ("pruning", "amount", "0.5", "write 0.5, without quotes"),
        ("budgets", "min_metric_kept", "99 %", "write 0.99, without quotes"),
        ("budgets", "max_size_mb", "300 kB", "write 0.3, without quotes"),
        ("training", "epochs", "1000000", "write 1000000, without quotes"),
        (
            "training",
            "epochs",
            "3 h",
            "write a number without a unit: passes over the training data after each technique that changes the"
            " network; 0 for no training",
        ),
    ],
)
def test_a_number_that_was_written_as_text_is_told_as_the_key_takes_it(
    table: str, key: str, written: str, told: str
) -> None:
    kind = "whole number" if key == "epochs" else "number"
    with pytest.raises(RecipeError) as caught:
        parse_recipe({table: {key: written}})
    assert str(caught.value) == f"expected {kind}, got {written!r} in '{table}.{key}'; {told}"
