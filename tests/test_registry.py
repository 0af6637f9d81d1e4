"""What other packages register is found by its name, and told of in one line where it is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Quantization
from edgecompress.registry import OBSERVERS, built_in, find, require_known

Install = Callable[[str, str, str], None]
RIGHT = "def whole(statistics, demand):\n    return statistics.histogram.low, statistics.histogram.high\n"


MINE = "observer 'whole' of package 'more-observers'"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with one observer where Python finds it: its name, the observer's, and the text of its module."""

    def put(package: str, observer: str, text: str) -> None:
        folder, module = tmp_path / package, package.replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{OBSERVERS.group}]\n{observer} = {module}:whole\n")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return put


def _told(name: str) -> str:
    with pytest.raises(RecipeError) as caught:
        find(OBSERVERS, name)
    return str(caught.value)


@pytest.mark.parametrize("name", built_in(OBSERVERS))
def test_what_the_package_has_itself_is_found(name: str) -> None:
    assert require_known(OBSERVERS, name) == name
    assert find(OBSERVERS, name).__module__ == f"edgecompress.calibration.observers.{name}"


def test_a_package_adds_a_name_that_recipes_take(install: Install) -> None:
    with pytest.raises(RecipeError, match=r"got 'whole' in 'quantization\.observer'"):
        Quantization(observer="whole")
    install("more-observers", "whole", RIGHT)
    assert Quantization(observer="whole").observer == "whole"
    assert find(OBSERVERS, "whole").__module__ == "more_observers"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        Quantization(observer="histogramm")
    assert str(caught.value) == (
        "expected a value that is 'entropy', 'histogram', 'min_max', 'moving_average', 'mse' or 'percentile', got"
        " 'histogramm' in 'quantization.observer'; did you mean 'histogram'?"
    )


def test_a_recipe_of_a_package_that_is_gone_is_told() -> None:
    assert _told("gone") == "no package registers the observer 'gone'; install the one that does"


def test_a_name_that_is_taken_is_told(install: Install) -> None:
    install("first-observers", "whole", RIGHT)
    install("second-observers", "whole", RIGHT)
    install("third-observers", "mse", RIGHT)
    assert _told("whole") == (
        "observer 'whole' is registered by first-observers and second-observers; uninstall all but one"
    )
    assert _told("mse") == "observer 'mse' is registered by edgecompress and third-observers; uninstall all but one"
    assert callable(find(OBSERVERS, "entropy"))  # what the broken packages do not touch goes on


def test_one_package_that_is_on_the_path_twice_is_one(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("more-observers", "whole", RIGHT)
    monkeypatch.syspath_prepend(sys.path[0])
    assert callable(find(OBSERVERS, "whole"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_module", f"{MINE} cannot be imported: No module named 'no_such_module'; repair that package"),
        ("raise RuntimeError('no GPU')", f"{MINE} cannot be imported: no GPU; repair that package"),
        (
            "other = 1",
            f"{MINE} cannot be imported: module 'more_observers' has no attribute 'whole'; repair that package",
        ),
        ("whole = 1", f"{MINE} cannot be called with (statistics, demand); repair that package"),
        ("def whole(statistics): ...", f"{MINE} cannot be called with (statistics, demand); repair that package"),
        (
            RIGHT + "whole.protocol = 2",
            f"{MINE} is made for protocol 2, and this edgecompress has 1; install versions that fit",
        ),
    ],
)
def test_a_package_that_is_broken_is_named(text: str, told: str, install: Install) -> None:
    install("more-observers", "whole", text)
    assert Quantization(observer="whole")  # nothing is imported for a recipe alone
    assert _told("whole") == told


def test_a_function_without_a_signature_is_taken(install: Install) -> None:
    install("more-observers", "whole", "whole = max")
    assert find(OBSERVERS, "whole") is max
