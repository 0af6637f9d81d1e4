"""The rows are those of the reference table, each open to overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.comparison.rows import ROWS, needed, profiles_of, title_of, with_recipes
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


def test_a_recipe_of_the_users_own_is_a_row_called_as_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("extends = 'mobile'\n[quantization]\nobserver = 'mse'\n")
    rows = with_recipes([file, "cloud"])
    assert rows[: len(ROWS)] == ROWS
    assert [(row.key, row.title) for row in rows[len(ROWS) :]] == [("mine", "mine"), ("cloud", "cloud")]
    found = profiles_of(["cpu.runs=10", "mine:quantization.granularity=per_tensor"], rows)
    assert found["mine"].recipe.quantization.observer == "mse"
    assert found["mine"].recipe.quantization.granularity == "per_tensor"
    assert found["cloud"].recipe.cpu.runs == found["mine"].recipe.cpu.runs == 10


@pytest.mark.parametrize(
    ("recipes", "told"),
    [
        (["a/int8.toml"], "there is another row 'int8'; call 'a/int8.toml' otherwise"),
        (["a/x.toml", "b/x.toml"], "there is another row 'x'; call 'b/x.toml' otherwise"),
        (
            ["a:b.toml"],
            "'a:b.toml' gives a row no name; call the file by letters, digits, '-' and '_'",
        ),
        ([""], "'' gives a row no name; call the file by letters, digits, '-' and '_'"),
    ],
)
def test_two_rows_have_two_names_that_folders_can_have(recipes: list[str], told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        with_recipes(recipes)
    assert str(refused.value) == told


def test_a_recipe_needs_the_data_without_which_it_cannot_run() -> None:
    rows = with_recipes(["mobile", "cloud", "realtime", "mine"])
    found = {row.key: profiles_of([], [row])[row.key].recipe for row in rows[:-1]}
    always = profiles_of(["quantization.training=always"], [rows[len(ROWS)]])["mobile"].recipe
    needs = {row.key: needed(row, found[row.key]) for row in rows[:-1]}
    assert needs["pruned"] == needs["realtime"] == ("train",)
    assert needs["mobile"] == needs["cloud"] == ()
    assert needed(rows[-1], always) == ("train",)
