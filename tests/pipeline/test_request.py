"""The arguments of a run, read once: what is not given has its default, and what is wrong is told before the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecompress.errors import InputError, ModelError, RecipeError
from edgecompress.pipeline.request import make_request
from edgecompress.recipe.tables import Cpu, Recipe
from edgecompress.targets import load_profile
from tests.networks import ConvNet, images, seeded


def _request(**given: Any) -> Any:
    return make_request(seeded(ConvNet), **{"target": "mobile", "data": {}, **given})


def test_what_is_not_given_has_its_default() -> None:
    request = _request(data={"calibration": images(), "evaluation": None})
    assert list(request.data) == ["calibration"]
    assert request.profile == load_profile("mobile")
    assert request.output == Path("convnet-mobile")
    assert request.name == "convnet"
    assert request.checkpoints == Path("convnet-mobile.checkpoints")
    assert (request.sharing.workers.rank, request.sharing.file) == (0, None)
    assert (request.teacher, request.statistics, request.overwrite, request.key) == (None, None, False, None)


def test_overrides_reach_the_recipe_and_paths_may_be_text() -> None:
    request = _request(overrides=["cpu.threads=3"], output="a/b", statistics="seen.npz")
    assert request.profile.recipe.cpu.threads == 3
    assert (request.output, request.sharing.file) == (Path("a/b"), Path("seen.npz"))


def test_a_recipe_stands_in_place_of_a_target() -> None:
    recipe = Recipe(cpu=Cpu(threads=3))
    request = _request(target=None, recipe=recipe)
    assert (request.profile.name, request.profile.recipe) == ("custom", recipe)
    assert request.output == Path("convnet-custom")
    assert _request(target=None).profile == load_profile("mobile")


def test_a_name_is_that_of_the_report_and_of_the_folder() -> None:
    request = _request(name="resnet20")
    assert (request.name, request.output) == ("resnet20", Path("resnet20-mobile"))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"target": "mobil"}, RecipeError),
        ({"overrides": ["cpu.thread=3"]}, RecipeError),
        ({"teacher": "net.py:big"}, ModelError),
        ({"output": 3}, InputError),
        ({"sign": "no-such-key.pem"}, InputError),
    ],
)
def test_what_is_wrong_is_told(given: dict[str, Any], kind: type[InputError]) -> None:
    with pytest.raises(kind):
        _request(**given)
