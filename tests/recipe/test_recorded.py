"""A recipe that was written down is read whatever is installed; what is missing is told, and all else checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.recorded import RecordedRecipe, missing_names, read_recorded, require_names
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.recipe.toml import recipe_tables
from edgecompress.registry import CRITERIA, KINDS, RUNTIMES, TECHNIQUES, Kind, missing
from tests.drawn_recipes import tables
from tests.installing import install_package

SEVERAL = (TECHNIQUES, RUNTIMES)


def _at(written: Any, key: str) -> Any:
    for part in key.split("."):
        written = written[part]
    return written


def _named(kind: Kind, *names: str) -> dict[str, Any]:
    """The tables of a recipe that names something of a kind."""
    value: Any = list(names) if kind in SEVERAL else names[0]
    for key in reversed(kind.key.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


@given(tables())
def test_a_record_takes_all_that_a_recipe_takes_and_nothing_else_where_all_names_are_known(
    drawn: dict[str, Any],
) -> None:
    try:
        recorded = read_recorded(drawn)
    except RecipeError:
        recorded = None
    if recorded is None or missing_names(recorded):
        with pytest.raises(RecipeError):
            parse_recipe(drawn)
    else:
        assert recipe_tables(recorded) == recipe_tables(parse_recipe(drawn))


@settings(max_examples=25)  # the packages that are installed are read for every name
@given(st.lists(st.sampled_from(KINDS), unique=True), st.from_regex(r"[a-z]{3,8}_gone", fullmatch=True))
def test_names_that_nothing_has_are_kept_and_told_each_once(kinds: list[Kind], name: str) -> None:
    written = {key: value for kind in kinds for key, value in _named(kind, name).items()}
    recorded = read_recorded(written)
    assert set(missing_names(recorded)) == {missing(kind, name) for kind in kinds}
    kept = recipe_tables(recorded)
    assert read_recorded(kept) == recorded
    assert all(_at(kept, kind.key) in (name, [name]) for kind in kinds)
    if kinds:
        with pytest.raises(RecipeError):
            parse_recipe(written)


def test_a_record_of_nothing_is_a_recipe_of_nothing() -> None:
    assert recipe_tables(RecordedRecipe()) == recipe_tables(Recipe())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.called)
def test_a_name_is_missing_until_its_package_is_there(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = read_recorded(_named(kind, "whole"))
    assert missing_names(recorded) == (missing(kind, "whole"),)
    install_package(tmp_path / "site", monkeypatch, kind.group, ("more-things", "whole"), "raise RuntimeError")
    assert missing_names(recorded) == ()


def test_what_is_missing_is_told_with_its_key_and_the_nearest_name() -> None:
    assert missing(CRITERIA, "theirs") == (
        "no package registers the criterion 'theirs' in 'pruning.importance'; install the one that does before you"
        " compress by this recipe"
    )
    assert missing(RUNTIMES, "browsr:x").startswith("no package registers the runtime 'browsr' in 'validation.on';")
    assert missing(RUNTIMES, "browsr:x").endswith("; did you mean 'browser'?")


def test_a_runtime_that_is_missing_is_told_once_and_code_of_a_user_s_own_is_not_missing() -> None:
    recorded = read_recorded({"validation": {"on": ["gone:a", "gone:b"]}, "evaluation": {"metric": "gone.py:score"}})
    assert missing_names(recorded) == (missing(RUNTIMES, "gone"),)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({"pruning": {"importance": 3}}, "expected text, got 3 in 'pruning.importance'"),
        ({"pruning": {"amont": 1}}, "unknown key 'pruning.amont'; did you mean 'pruning.amount'?"),
        ({"quantization": {"percentile": 1}}, "got 1 in 'quantization.percentile'"),
        ({"order": ["gone", "gone"]}, "a technique stands twice in 'order'; list each once"),
        ({"validation": {"on": "gone"}}, "expected a list, got 'gone' in 'validation.on'"),
    ],
)
def test_all_else_of_a_record_is_checked_with_its_path(written: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recorded(written)
    assert line in str(caught.value)


def test_what_is_changed_in_a_record_is_looked_up_and_what_stood_there_is_not() -> None:
    recorded = read_recorded({**_named(CRITERIA, "theirs"), **_named(RUNTIMES, "gone")})
    require_names(override(recorded, ["seed=3"]), recorded)
    require_names(override(recorded, ["pruning.importance=l1"]), recorded)
    with pytest.raises(RecipeError) as caught:
        require_names(override(recorded, ["pruning.importance=l3"]), recorded)
    assert str(caught.value).endswith("got 'l3' in 'pruning.importance'; did you mean 'l2'?")
