"""The loss of a run: by its name, by what is handed over, and by the task where there is neither."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.loading.losses import open_loss
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.recipe.tables import Recipe, Training
from edgecompress.registry import LOSSES, built_in
from edgecompress.training.losses import named_loss
from tests.installing import install_package

OWN = """
def halves(outputs, targets):
    return (outputs - targets).abs().mean() / 2

class Halves:
    def __call__(self, outputs, targets):
        return halves(outputs, targets)

nothing = 3
"""


def _mine(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().max()


def test_the_task_names_the_loss_where_the_recipe_does_not() -> None:
    assert open_loss(Training()) == named_loss("cross_entropy")
    assert open_loss(Training(task="regression")) == named_loss("mse")


@pytest.mark.parametrize("name", built_in(LOSSES))
def test_a_loss_of_the_package_is_found_by_its_name(name: str) -> None:
    found = open_loss(Training(loss=name, ignore_index=255))
    assert (found.name, found.ignore_index) == (name, 255)


@pytest.mark.parametrize("name", ["halves", "Halves"])
def test_a_loss_of_the_users_own_file_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "lost.py").write_text(OWN)
    found = open_loss(Training(loss=f"{tmp_path / 'lost.py'}:{name}"))
    assert float(found(torch.tensor([3.0]), {}, torch.tensor([1.0]))) == 1.0
    assert found.name == f"{tmp_path / 'lost.py'}:{name}"


def test_what_is_handed_over_is_named_in_the_recipe_and_stands_for_that_name() -> None:
    recipe = MeasuredBy(loss=_mine).named_in(Recipe())
    assert recipe.training.loss == f"{__name__}:_mine"
    assert float(open_loss(recipe.training, _mine)(torch.tensor([3.0, 0.0]), {}, torch.zeros(2))) == 3.0
    assert MeasuredBy(loss=nn.L1Loss()).named_in(Recipe()).training.loss == "torch.nn.modules.loss:L1Loss"
    assert MeasuredBy(loss="l1", metric="mae").named_in(Recipe()) == Recipe(
        training=Training(loss="l1"), evaluation=Recipe().evaluation.model_copy(update={"metric": "mae"})
    )
    assert open_loss(Training(loss="l1"), "l1") == named_loss("l1")


@pytest.mark.parametrize("code", [OWN.replace("halves", "whole"), OWN.replace("Halves", "whole")])
def test_a_loss_of_another_package_is_used_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    install_package(tmp_path, monkeypatch, LOSSES.group, ("lost-things", "theirs"), code)
    found = open_loss(Training(loss="theirs"))
    assert float(found(torch.tensor([3.0]), {}, torch.tensor([1.0]))) == 1.0


def test_a_name_that_nothing_has_is_refused_when_the_recipe_is_made() -> None:
    *names, last = map(repr, built_in(LOSSES))
    with pytest.raises(RecipeError) as caught:
        Training(loss="mze")
    assert str(caught.value) == (
        f"expected a value that is {', '.join(names)} or {last} or file.py:callable, got 'mze' in 'training.loss';"
        " did you mean 'mse'?"
    )


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("lost.py:halfs", "'lost.py' has no callable 'halfs'; did you mean 'halves'?"),
        ("lost.py:nothing", "'lost.py:nothing' is an int, not a callable; name a function"),
        ("gone.py:loss", "file 'gone.py' does not exist; check the path"),
    ],
)
def test_code_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lost.py").write_text(OWN)
    with pytest.raises(RecipeError) as caught:
        open_loss(Training(loss=place))
    assert str(caught.value) == told
