"""What other packages register is found by its name, and told of in one line where it is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Evaluation, Pruning, Quantization, Recipe, Training
from edgecompress.registry import (
    CRITERIA,
    OBSERVERS,
    RUNTIMES,
    TECHNIQUES,
    Kind,
    NamedFunction,
    built_in,
    choose,
    find,
    require_known,
)
from tests.installing import install_package

Install = Callable[[str, str, str], None]
KINDS = (OBSERVERS, CRITERIA, TECHNIQUES, RUNTIMES)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.called)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def install(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with one function where Python finds it: its name, the function's, and the text of its module."""

    def put(package: str, name: str, text: str) -> None:
        install_package(tmp_path / package, monkeypatch, kind.group, (package, name), text)

    return put


def _right(kind: Kind) -> str:
    return f"def whole({', '.join(kind.arguments or ())}): ...\n"


def _named_in_a_recipe(kind: Kind, name: str) -> Any:
    """The value of the kind's key in a recipe that names it."""
    if kind is TECHNIQUES:
        return Recipe(order=(name,)).order[0]
    if kind is RUNTIMES:
        return next(iter(Validation(on=(name,)).on or ()))
    table, key = kind.key.split(".")
    return getattr({"quantization": Quantization, "pruning": Pruning}[table](**{key: name}), key)


def _told(mistake: Callable[[], object]) -> str:
    with pytest.raises(RecipeError) as caught:
        mistake()
    return str(caught.value)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in built_in(kind)])
def test_what_the_package_has_itself_is_found(kind: Kind, name: str) -> None:
    assert require_known(kind, name) == _named_in_a_recipe(kind, name) == name
    assert find(kind, name).__module__ == f"edgecompress.{kind.folder}.{name}"


def test_a_package_adds_a_name_that_recipes_take(kind: Kind, install: Install) -> None:
    assert f"got 'whole' in '{kind.key}'" in _told(lambda: _named_in_a_recipe(kind, "whole"))
    install("more-things", "whole", _right(kind))
    assert _named_in_a_recipe(kind, "whole") == "whole"
    assert find(kind, "whole").__module__ == "more_things"


def test_an_unknown_name_is_told_with_the_nearest(kind: Kind) -> None:
    *others, last = built_in(kind)
    known = f"{', '.join(map(repr, others))} or {last!r}"
    assert _told(lambda: _named_in_a_recipe(kind, f"{last}m")) == (
        f"expected a value that is {known}, got '{last}m' in '{kind.key}'; did you mean {last!r}?"
    )


def test_a_recipe_of_a_package_that_is_gone_is_told(kind: Kind) -> None:
    told = _told(partial(find, kind, "gone"))
    assert told == f"no package registers the {kind.called} 'gone'; install the one that does"


def test_a_name_that_is_taken_is_told(kind: Kind, install: Install) -> None:
    own, other, *_ = built_in(kind)
    install("first-things", "whole", _right(kind))
    install("second-things", "whole", _right(kind))
    install("third-things", own, _right(kind))
    assert _told(partial(find, kind, "whole")) == (
        f"{kind.called} 'whole' is registered by first-things and second-things; uninstall all but one"
    )
    assert _told(partial(find, kind, own)) == (
        f"{kind.called} {own!r} is registered by edgecompress and third-things; uninstall all but one"
    )
    assert callable(find(kind, other))  # what the broken packages do not touch goes on


def test_one_package_that_is_on_the_path_twice_is_one(
    kind: Kind, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("more-things", "whole", _right(kind))
    monkeypatch.syspath_prepend(sys.path[0])
    assert callable(find(kind, "whole"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_module", "{mine} cannot be imported: No module named 'no_such_module'; repair that package"),
        ("raise RuntimeError('no GPU')", "{mine} cannot be imported: no GPU; repair that package"),
        ("other = 1", "{mine} cannot be imported: module 'more_things' has no attribute 'whole'; repair that package"),
        ("whole = 1", "{mine} cannot be called with ({arguments}); repair that package"),
        ("def whole(): ...", "{mine} cannot be called with ({arguments}); repair that package"),
        (
            "def whole(*arguments): ...\nwhole.protocol = 2",
            "{mine} is made for protocol 2, and this edgecompress has 1; install versions that fit",
        ),
    ],
)
def test_a_package_that_is_broken_is_named(text: str, told: str, kind: Kind, install: Install) -> None:
    install("more-things", "whole", text)
    assert _named_in_a_recipe(kind, "whole")  # nothing is imported for a recipe alone
    mine, arguments = f"{kind.called} 'whole' of package 'more-things'", ", ".join(kind.arguments or ())
    assert _told(partial(find, kind, "whole")) == told.format(mine=mine, arguments=arguments)


def test_a_function_without_a_signature_is_taken(kind: Kind, install: Install) -> None:
    install("more-things", "whole", "whole = max")
    assert find(kind, "whole") is max


def test_a_function_may_stand_in_for_a_name(kind: Kind) -> None:
    assert choose(kind, max).function is max
    assert choose(kind, built_in(kind)[0]).function is find(kind, built_in(kind)[0])


def test_what_fails_is_told_with_its_package(kind: Kind, install: Install) -> None:
    install("more-things", "whole", "def whole(*arguments): raise RuntimeError('no GPU')")
    told = _told(lambda: choose(kind, "whole")(*(kind.arguments or ())))
    assert told == f"{kind.called} 'whole' of package 'more-things' fails: no GPU; repair it, or choose another"


def _of_one(_only: object) -> None: ...


def test_a_function_that_cannot_be_called_is_told() -> None:
    assert _told(lambda: choose(CRITERIA, _of_one)) == (
        "criterion '_of_one' cannot be called with (group, generator); give a function of these"
    )


def test_a_function_that_fails_is_told_with_its_name() -> None:
    def ends(_statistics: object) -> None:
        sys.exit("no licence")

    assert _told(lambda: NamedFunction("observer 'mine'", ends)(0)) == (
        "observer 'mine' fails: no licence; repair it, or choose another"
    )


def test_a_name_of_another_kind_is_told_where_it_belongs() -> None:
    assert _told(lambda: Evaluation(metric="loss")).endswith(
        "got 'loss' in 'evaluation.metric'; a loss is named in 'training.loss'"
    )
    assert _told(lambda: Evaluation(metric="cross_entropy")).endswith("; a loss is named in 'training.loss'")
    assert _told(lambda: Training(loss="top5")).endswith("; a metric is named in 'evaluation.metric'")
    assert _told(lambda: Evaluation(metric="mse")).endswith("; did you mean 'rmse'?")
    assert _told(lambda: Evaluation(metric="qqq")).endswith("got 'qqq' in 'evaluation.metric'")
