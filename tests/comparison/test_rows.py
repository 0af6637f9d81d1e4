"""The rows are those of the reference table, each open to overrides."""

from __future__ import annotations

import pytest

from edgecompress.comparison.rows import ROWS, profiles_of, title_of
from edgecompress.errors import RecipeError


def test_the_rows_are_those_of_the_table() -> None:
    titles = [title_of(profiles_of([])[row.key].recipe) for row in ROWS]
    assert titles == ["original", "pruned 50 %", "INT8", "distilled", "low rank", "pruned 50 % + INT8"]


def test_an_override_reaches_all_rows_or_one() -> None:
    found = profiles_of(["training.epochs=3", "pruned-int8:pruning.amount=0.6", "pruned-int8:training.epochs=9"])
    assert found["pruned-int8"].recipe.pruning.amount == 0.6
    assert found["pruned"].recipe.pruning.amount == 0.5
    assert {key: each.recipe.training.epochs for key, each in found.items() if key != "pruned-int8"} == dict.fromkeys(
        ("original", "pruned", "int8", "distilled", "low-rank"), 3
    )
    assert found["pruned-int8"].recipe.training.epochs == 9


def test_a_colon_in_a_value_is_no_row() -> None:
    assert profiles_of(['pruning.protect=["a:b"]'])["pruned"].recipe.pruning.protect == ("a:b",)


def test_an_unknown_row_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="there is no row 'prune'; did you mean 'pruned'"):
        profiles_of(["prune:pruning.amount=0.5"])


def test_a_key_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'pruning\.share'"):
        profiles_of(["int8:pruning.share=0.5"])
