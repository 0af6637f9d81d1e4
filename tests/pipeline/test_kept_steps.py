"""Steps that other runs keep give the bytes that they would give now, and are made once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.comparison.making import Material, identify, make_bundle
from edgecompress.errors import ModelError
from edgecompress.progress import Progress
from edgecompress.system.cache import Cache
from edgecompress.targets import effective_profile
from edgecompress.techniques.kept import Kept
from tests.networks import ConvNet, ResidualNet, images, seeded

QUICK = ("export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.placement=table")
TRAINED = ("training.epochs=1", "training.learning_rate=0.01", "quantization.training=never", *QUICK)
PRUNED = ("pruning.enabled=true", "pruning.goal=parameters", "pruning.amount=0.3", "pruning.multiple=1", *TRAINED)
FACTORIZED = ("pruning.enabled=false", "low_rank.enabled=true", "low_rank.amount=0.3", "low_rank.multiple=1", *TRAINED)
RECIPES = {
    "pruned by sensitivity": ("pruning.spread=sensitivity", *PRUNED),
    "pruned float": ("quantization.enabled=false", *PRUNED),
    "factorized": FACTORIZED,
    "pruned and factorized": (*FACTORIZED, *PRUNED),
    "pruned and distilled": ("distillation.enabled=true", *PRUNED),
    "integers alone": ("pruning.enabled=false", *TRAINED),
    "trained integers": (*PRUNED, "quantization.training=always", "quantization.training_epochs=1"),
}
FILES = ("model.onnx", "recipe.toml", "selftest.npz", "model.safetensors")


class Steps(Progress):
    """The labels of all work."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        self.labels.append(label)
        yield

    def track(self, items: Iterable[Any], label: str, *_: Any, **__: Any) -> Iterator[Any]:
        self.labels.append(label.partition(",")[0])
        yield from items


def _shuffled() -> DataLoader[tuple[torch.Tensor, ...]]:
    inputs, labels = (torch.cat(part) for part in zip(*images(seed=3), strict=True))
    return DataLoader(TensorDataset(inputs, labels), batch_size=16, shuffle=True)


def _material(kind: type[nn.Module] = ConvNet) -> Material:
    data: dict[str, Any] = {"calibration": images(seed=1), "evaluation": images(seed=2), "train": _shuffled}
    return Material(network=seeded(kind).train(), data=data)


def _kept(material: Material, folder: Path) -> Kept:
    ground = identify(material, effective_profile("edge", QUICK).recipe, Progress()).ground
    assert ground is not None
    return Kept(cache=Cache(folder, lambda line: pytest.fail(line)), made_of=ground)


def _made(material: Material, overrides: Iterable[str], output: Path, kept: Kept | None) -> tuple[Any, list[str]]:
    """The files of a bundle that was made without the whole one of another run, and what was done for it."""
    told = Steps()
    torch.manual_seed(len(output.name))  # the state that a run finds does not count
    profile = effective_profile("edge", [*overrides])
    bundle = make_bundle(material, profile, output, told, kept)
    if kept is not None:
        _forget_bundles(kept)
    found = {name: (bundle.path / name).read_bytes() for name in FILES if (bundle.path / name).exists()}
    steps = [(step["name"], step["changes"]) for step in _steps(bundle.path)]
    return (found, steps), told.labels


def _steps(bundle: Path) -> list[dict[str, Any]]:
    return list(json.loads((bundle / "report.json").read_text())["steps"])


def _forget_bundles(kept: Kept) -> None:
    for path in kept.cache.folder.iterdir():
        if b"manifest.json" in path.read_bytes():
            path.unlink()


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, ConvNet) for name in RECIPES), ("pruned by sensitivity", ResidualNet)]
)
def test_the_bytes_are_those_without_a_cache(
    name: str, kind: type[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = _material(kind)
    kept = _kept(material, tmp_path / "cache")
    without, _ = _made(material, RECIPES[name], tmp_path / "a", None)
    cold, did = _made(material, RECIPES[name], tmp_path / "bb", kept)
    assert cold == without
    _nothing_is_exported(monkeypatch, but_stages=" and " in name)
    warm, did_again = _made(material, RECIPES[name], tmp_path / "ccc", kept)
    assert warm == without
    rounds = sum(did.count(f"step {step}") for step in ("prune", "factorize", "distill"))
    assert did.count("training") == rounds + (name == "trained integers")
    assert did_again.count("training") == (name == "trained integers")


def _nothing_is_exported(monkeypatch: pytest.MonkeyPatch, but_stages: bool = False) -> None:
    """Neither the original nor the network that ships; what two techniques leave in between is a stage."""
    for place in ("edgecompress.pipeline.to_onnx", "edgecompress.techniques.cutting")[: 1 if but_stages else 2]:
        monkeypatch.setattr(f"{place}.to_onnx", lambda *_: pytest.fail("it is exported again"))


def test_recipes_that_differ_in_their_integers_share_what_comes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = _material()
    kept = _kept(material, tmp_path / "cache")
    _made(material, PRUNED, tmp_path / "a", kept)
    other = (*PRUNED, "quantization.observer=mse", "quantization.bias_correction=false")
    without, _ = _made(material, other, tmp_path / "b", None)
    _nothing_is_exported(monkeypatch)
    shared, did = _made(material, other, tmp_path / "c", kept)
    assert shared == without
    assert "training" not in did


@pytest.mark.parametrize("change", ["pruning.amount=0.4", "seed=1", "training.learning_rate=0.02"])
def test_another_network_is_not_shared(change: str, tmp_path: Path) -> None:
    material = _material()
    kept = _kept(material, tmp_path / "cache")
    first, _ = _made(material, PRUNED, tmp_path / "a", kept)
    other, did = _made(material, (*PRUNED, change), tmp_path / "b", kept)
    assert "training" in did
    assert other[0]["model.safetensors"] != first[0]["model.safetensors"]


def test_what_layers_lose_is_measured_once_for_all_amounts(tmp_path: Path) -> None:
    material, spread = _material(), "pruning.spread=sensitivity"
    kept = _kept(material, tmp_path / "cache")
    _, first = _made(material, (*PRUNED, spread), tmp_path / "a", kept)
    other = (*PRUNED, spread, "pruning.amount=0.5")
    without, _ = _made(material, other, tmp_path / "b", None)
    shared, did = _made(material, other, tmp_path / "c", kept)
    assert shared == without
    assert "measuring what is lost with channels" in first
    assert "measuring what is lost with channels" not in did


def test_an_entry_that_is_no_step_is_made_anew(tmp_path: Path) -> None:
    material = _material()
    kept = _kept(material, tmp_path / "cache")
    first, _ = _made(material, PRUNED, tmp_path / "a", kept)
    for path in kept.cache.folder.iterdir():
        if path.name != "lock":
            kept.cache.write(path.name, b"something else")
    again, did = _made(material, PRUNED, tmp_path / "b", kept)
    assert again == first
    assert "training" in did


def test_a_network_that_comes_back_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: nn.Module) -> bytes:
        raise ModelError("it holds what no file can; give another")

    monkeypatch.setattr("edgecompress.pipeline.kept_steps.pruned_file", refuse)
    material = _material()
    kept = _kept(material, tmp_path / "cache")
    first, _ = _made(material, PRUNED, tmp_path / "a", kept)
    again, did = _made(material, PRUNED, tmp_path / "b", kept)
    assert again == first
    assert "training" in did
