"""What bundles are made of is told by digests, and a bundle is made with what its recipe asks for."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.comparison.making import Material, identify, kept_for, kept_on, make_bundle
from edgecompress.errors import RecipeError
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.report import read_report
from edgecompress.targets import effective_profile, load_profile
from edgecompress.techniques.checkpoints import checkpoints_of
from tests.heard import Heard
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


@pytest.mark.parametrize(("asked", "warnings"), [((), 1), (("evaluation.metric",), 0)])
def test_masks_need_another_metric_unless_somebody_asked_for_this(asked: tuple[str, ...], warnings: int) -> None:
    told, masks = Heard(), [(torch.zeros(4, 3, 8, 8), torch.ones(4, 8, 8, dtype=torch.int64))]
    identify(Material(network=nn.Conv2d(3, 5, 1), data={"evaluation": masks}), Recipe(), told, asked)
    assert [line.endswith("give --metric miou") for line in told.lines] == [True] * warnings


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
    assert again.manifest.model_copy(update={"files": made.manifest.files}) == made.manifest
    told = ("report.json", "report.html", "manifest.json")
    contents = [{file.name: file.read_bytes() for file in bundle.path.iterdir()} for bundle in (made, again)]
    assert contents[0].keys() == contents[1].keys()
    assert all(contents[0][name] == contents[1][name] for name in contents[0].keys() - {*told})
    reports = [read_report(bundle.path) for bundle in (made, again)]
    commands = [report.pop("command") for report in reports]
    assert reports[0] == reports[1]
    for bundle, command in zip((made, again), commands, strict=True):
        assert f"--target {bundle.path / 'recipe.toml'} " in command


@pytest.mark.parametrize(("target", "trains"), [("mobile", False), ("cloud", True)])
def test_the_command_names_all_that_made_the_bundle_and_nothing_that_its_recipe_does_not_read(
    target: str, trains: bool
) -> None:
    data = {"calibration": "a.py:few", "evaluation": images(), "train": "a.py:many"}
    by = MeasuredBy(metric="accuracy", loss="cross_entropy")
    material = Material(network=seeded(ConvNet), data=data, by=by, model="my nets.py:net", weights=Path("net.pt"))
    command = material.for_recipe(load_profile(target).recipe).command_for(Path("out/int8"))
    assert shlex.split(command) == [
        *("edgecompress", "compress", "my nets.py:net", "--weights", "net.pt", "--target", "out/int8/recipe.toml"),
        *("--calibration", "a.py:few", "--evaluation", "DATA"),
        *(("--train", "a.py:many") if trains else ()),
        *("--metric", "accuracy"),
        *(("--loss", "cross_entropy") if trains else ()),
    ]


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
        told = Heard()
        make_bundle(material, profile, tmp_path / name, told, kept)
        assert not left.exists()
        lines.append({*told.lines})
    assert lines[0] == lines[1] != set()


def test_nothing_is_kept_where_a_device_measures() -> None:
    material = Material(network=seeded(ConvNet), data=DATA)
    recipe = effective_profile("mobile", ["device.url=ssh://board"]).recipe
    assert kept_on(identify(material, recipe, Progress()), Progress()) is None


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("training.loss", "def own(outputs, targets): return outputs.sum()\n"),
        ("evaluation.metric", "def own(outputs, targets): return float(outputs.sum())\n"),
        ("evaluation.postprocess", "def own(outputs): return outputs\n"),
    ],
)
def test_code_that_another_recipe_names_counts_with_all_below_its_folder(
    key: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is not that of the model, and nothing that was identified loads it."""
    material, first = Material(network=seeded(ConvNet), data=DATA), effective_profile("mobile", QUICK).recipe
    kept = kept_on(identify(material, first, Progress()), Progress())
    assert kept is not None
    own, scale = tmp_path / "own_code_of_a_row.py", tmp_path / "inner" / "scale.py"
    scale.parent.mkdir()
    own.write_text(code)
    recipe = effective_profile("mobile", [*QUICK, f"{key}={own}:own"]).recipe
    grounds = []
    for file in (None, None, scale, own):
        if file is not None:
            file.write_text(f"{file.read_text() if file.exists() else ''}SCALE = 2\n")
        found = kept_for(kept, material, recipe, first)
        assert found is not None
        grounds.append(dict(found.made_of))
    monkeypatch.delitem(sys.modules, "own_code_of_a_row")
    before, again, *others = grounds
    assert before == again
    assert {key for key in before if before[key] != kept.made_of.get(key)} == {"sources", key.partition(".")[2]}
    assert all(other != before for other in others)
    assert others[0] != others[1]


def test_a_recipe_that_names_no_other_code_keeps_with_all_others(tmp_path: Path) -> None:
    material, first = Material(network=seeded(ConvNet), data=DATA), effective_profile("mobile", QUICK).recipe
    kept = kept_on(identify(material, first, Progress()), Progress())
    pruned = effective_profile("edge", QUICK).recipe
    assert kept is not None
    assert kept_for(kept, material, pruned, first) == kept
    on_a_device = effective_profile("mobile", [*QUICK, "device.url=ssh://board"]).recipe
    missing = effective_profile("mobile", [*QUICK, f"training.loss={tmp_path}/none.py:own"]).recipe
    assert kept_for(kept, material, on_a_device, first) is None
    assert kept_for(kept, material, missing, first) is None
    assert kept_for(None, material, pruned, first) is None


def test_without_a_place_for_the_cache_a_line_says_so_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    told = Heard()
    found = identify(Material(network=seeded(ConvNet), data=DATA), Recipe(), Progress())
    monkeypatch.delenv("EDGECOMPRESS_CACHE")
    monkeypatch.setattr(Path, "home", no_home)
    assert kept_on(found, told) is None
    assert told.lines == [
        "nothing is kept for the next run: there is no home folder for the user's cache; set EDGECOMPRESS_CACHE to a"
        " folder"
    ]
