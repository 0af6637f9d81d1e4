"""What bundles are made of is told by digests, and a bundle is made with what its recipe asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from edgecompress.comparison.making import Material, identify, kept_on, make_bundle
from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import effective_profile, load_profile
from edgecompress.techniques.checkpoints import checkpoints_of
from tests.networks import ConvNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0")
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


def test_a_bundle_that_another_run_made_of_the_same_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = Material(network=seeded(ConvNet), data=DATA)
    profile = effective_profile("mobile", QUICK)
    kept = kept_on(identify(material, profile.recipe, Progress()), Progress())
    assert kept is not None
    monkeypatch.setattr("edgecompress.comparison.kept_bundles.is_settled", lambda _: True)
    made = make_bundle(material, profile, tmp_path / "first", Progress(), kept)
    monkeypatch.setattr("edgecompress.comparison.making.carry_out", lambda *_: pytest.fail("it is made again"))
    again = make_bundle(material, profile, tmp_path / "second" / "inner", Progress(), kept)
    assert again.manifest == made.manifest
    contents = [{file.name: file.read_bytes() for file in bundle.path.iterdir()} for bundle in (made, again)]
    assert contents[0] == contents[1]


class Told(Progress):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_a_bundle_that_is_taken_over_warns_and_leaves_no_checkpoints_as_a_run_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = Material(network=seeded(ConvNet), data={**DATA, "train": images(seed=2)})
    trained = ("quantization.enabled=false", "pruning.enabled=true", "training.epochs=1", *QUICK[:2])
    profile = effective_profile("mobile", [*trained, "budgets.min_speedup=0.4"])
    kept = kept_on(identify(material, profile.recipe, Progress()), Progress())
    monkeypatch.setattr("edgecompress.comparison.kept_bundles.is_settled", lambda _: True)
    lines = []
    for name in ("made", "taken over"):
        left = checkpoints_of(tmp_path / name)
        left.mkdir()
        told = Told()
        make_bundle(material, profile, tmp_path / name, told, kept)
        assert not left.exists()
        lines.append({*told.lines})
    assert lines[0] == lines[1] != set()


def test_nothing_is_kept_where_a_device_measures() -> None:
    material = Material(network=seeded(ConvNet), data=DATA)
    recipe = effective_profile("mobile", ["device.url=ssh://board"]).recipe
    assert kept_on(identify(material, recipe, Progress()), Progress()) is None


def test_without_a_place_for_the_cache_a_line_says_so_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    told = Told()
    found = identify(Material(network=seeded(ConvNet), data=DATA), Recipe(), Progress())
    monkeypatch.delenv("EDGECOMPRESS_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    assert kept_on(found, told) is None
    assert told.lines == [
        "nothing is kept for the next run: there is no home folder for the user's cache; set EDGECOMPRESS_CACHE to a"
        " folder"
    ]
