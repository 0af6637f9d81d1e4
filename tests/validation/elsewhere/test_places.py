"""Places are found by their names, and a package that is broken is named before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Cpu, Export, Recipe
from edgecompress.registry import RUNTIMES, built_in
from edgecompress.targets import load_profile
from edgecompress.validation.elsewhere.place import Handling
from edgecompress.validation.elsewhere.places import asked_places, find_places, handling_of, places_of
from edgecompress.validation.elsewhere.runtimes.browser import WEB
from tests.installing import install_package

Install = Callable[[str], None]
RIGHT = """
class Board:
    def __init__(self, device): self.device = device
    def run(self, model, batches): ...
whole = Board
"""
MINE = "runtime 'mine' of package 'my-package'"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with runtime ``mine``."""

    def put(text: str) -> None:
        install_package(tmp_path / "mine", monkeypatch, RUNTIMES.group, ("my-package", "mine"), text)

    return put


def _told(mistake: Callable[[], object]) -> str:
    with pytest.raises(RecipeError) as caught:
        mistake()
    return str(caught.value)


def test_a_place_is_a_runtime_and_perhaps_a_device(install: Install) -> None:
    install(RIGHT)
    bare, port, again = find_places(["mine", "mine:usb:3", "mine:usb:3", "mine:0"])
    assert [place.name for place in (bare, port, again)] == ["mine", "mine:usb:3", "mine:0"]
    assert [vars(place.place)["device"] for place in (bare, port, again)] == ["", "usb:3", "0"]
    assert (bare.told, bare.where, port.where) == (MINE, "on mine", "on mine:usb:3")
    assert bare.handling == Handling()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_module", "cannot be imported: No module named 'no_such_module'; repair that package"),
        (f"{RIGHT}\nwhole.protocol = 2", "is made for protocol 2, and this edgecompress has 1; install versions that"),
        ("def whole(): ...", "cannot be called with (device); repair that package"),
        ("def whole(device): ...", "gives None without run(model, batches); repair that package"),
        (RIGHT.replace("def run", "def go"), "gives a Board without run(model, batches); repair that package"),
        (RIGHT.replace(", batches", ""), "gives a Board without run(model, batches); repair that package"),
        (f"{RIGHT}\nwhole.handling = {{}}", "has a dict as its handling; make it a Handling"),
        (RIGHT.replace("self.device = device", "1 / 0"), "fails: division by zero; repair it, or choose another"),
        (RIGHT.replace("self.device = device", "exit()"), "fails: None; repair it, or choose another"),
    ],
)
def test_a_package_that_is_broken_is_named_before_anything_runs(text: str, told: str, install: Install) -> None:
    install(text)
    assert _told(lambda: find_places(["mine"])).startswith(f"{MINE} {told}")
    assert handling_of("browser").golden  # what the package does not touch goes on


def test_what_cannot_run_anything_is_told(install: Install) -> None:
    install("def whole(device): return device")
    told = _told(lambda: find_places(["mine:board"]))
    assert told == f"{MINE} gives a str without run(model, batches); repair that package"


def test_a_handling_that_is_none_is_told(install: Install) -> None:
    install(f"{RIGHT}\nwhole.handling = {{}}")
    told = _told(lambda: handling_of("mine"))
    assert told == f"{MINE} has a dict as its handling; make it a Handling"


def test_a_name_that_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_package(tmp_path / "mine", monkeypatch, RUNTIMES.group, ("my-package", "browser"), RIGHT)
    told = "runtime 'browser' is registered by edgecompress and my-package; uninstall all but one"
    assert _told(lambda: find_places(["browser"], spared=["browser"])) == told


@pytest.mark.parametrize("name", ["", ":", "browsr", "qemu haswell", "mine:board"])
def test_a_runtime_that_nobody_has_is_told_with_those_that_there_are(name: str) -> None:
    told = _told(lambda: find_places(["browser", name]))
    *others, last = map(repr, built_in(RUNTIMES))
    known = f"{', '.join(others)} or {last}"
    assert told.startswith(f"expected a value that is {known}, got {name.partition(':')[0]!r} in 'validation.on'")


def test_the_key_that_names_a_runtime_that_nobody_has_is_told() -> None:
    assert _told(lambda: Validation(device="qn:sm8650")).endswith(
        "got 'qn' in 'validation.device'; did you mean 'qnn'?"
    )


def test_a_recipe_asks_in_three_ways_for_places_each_once(install: Install) -> None:
    install(RIGHT)
    on = ("mine:b", "qemu:haswell", "browser", "mine:a")
    recipe = Recipe(cpu=Cpu(emulate=("haswell", "nehalem")), export=Export(browser=True))
    assert asked_places(recipe) == ("qemu:haswell", "qemu:nehalem", "browser")
    assert asked_places(Recipe()) == ()
    everything = recipe.model_copy(update={"validation": Validation(on=on)})
    assert asked_places(everything) == ("qemu:haswell", "qemu:nehalem", "browser", "mine:b", "mine:a")


def test_a_browser_that_a_target_asks_for_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEB, str(tmp_path))
    (browser,) = places_of(Recipe(export=Export(browser=True)))
    assert browser.place is None
    assert str(browser.missing).startswith("the browser run needs onnxruntime-web, and ")
    named = Recipe(export=Export(browser=True), validation=Validation(on=("browser",)))
    assert _told(lambda: places_of(named)) == browser.missing


def test_what_a_target_is_made_for_may_be_missing_and_has_to_be_there_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    recipe = load_profile("snapdragon").recipe
    (npu,) = places_of(recipe)
    needs = "runtime 'qnn' needs onnxruntime-qnn; pip install 'edgecompress[qnn]'"
    assert (npu.name, npu.place, npu.missing) == ("qnn:sm8650", None, needs)
    for asked, told in (
        (Validation(device="qnn:sm8650", on=("qnn:sm8650",)), needs),
        (Validation(device="qnn:sm9999"), "unknown system on a chip 'sm9999'; name one of sm8350, sm8450"),
    ):
        named = recipe.model_copy(update={"validation": asked})
        assert _told(partial(places_of, named)).startswith(told)
