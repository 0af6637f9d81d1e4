"""What bundles are made of is told by digests, and a bundle is made with what its recipe asks for."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from edgecompress.comparison.making import Material, identify, make_bundle
from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import load_profile
from tests.networks import ConvNet, images, seeded

DATA = {"calibration": images(), "evaluation": images(seed=1)}


def _parts(material: Material) -> dict[str, str]:
    return dict(identify(material, Recipe(), Progress()).parts)


def test_each_part_has_a_digest_of_its_own() -> None:
    found = _parts(Material(network=seeded(ConvNet), data=DATA))
    assert found.keys() == {"network", "calibration", "evaluation"}
    again = _parts(Material(network=seeded(ConvNet), data=DATA))
    assert again == found
    other_network = _parts(Material(network=seeded(ConvNet, 1), data=DATA))
    other_data = _parts(Material(network=seeded(ConvNet), data={**DATA, "evaluation": images(seed=2)}))
    assert {key for key in found if found[key] != other_network[key]} == {"network"}
    assert {key for key in found if found[key] != other_data[key]} == {"evaluation"}


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sum()


@pytest.mark.parametrize(("target", "trains"), [("mobile", False), ("cloud", True)])
def test_training_data_and_the_loss_are_for_recipes_that_train(
    target: str, trains: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_network: Any, *, data: Any, by: MeasuredBy, target: Any, **_: Any) -> None:
        given.append(("train" in data, by.loss is not None, target.recipe.training.loss is not None))
        raise RecipeError("not now; wait")

    given: list[tuple[bool, ...]] = []
    monkeypatch.setattr("edgecompress.comparison.making.make_request", refuse)
    material = Material(network=seeded(ConvNet), data={**DATA, "train": images(seed=2)}, by=MeasuredBy(loss=_loss))
    with pytest.raises(RecipeError, match="not now"):
        make_bundle(material, material.named_in(load_profile(target)), tmp_path / "out", Progress())
    assert given == [(trains, trains, trains)]
