"""The ground of a run changes with all that its steps rest on, and is not there where that cannot be known."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.comparison.ground import accelerator_here
from edgecompress.comparison.making import Material, identify
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import effective_profile
from tests.networks import ConvNet, images, seeded

DATA: dict[str, Any] = {"calibration": images(seed=1), "evaluation": images(seed=2)}


def _ground(seed: int = 0, recipe: Recipe | None = None, **data: Any) -> dict[str, str] | None:
    material = Material(network=seeded(ConvNet, seed), data={**DATA, **data})
    found = identify(material, recipe or Recipe(), Progress()).ground
    return None if found is None else dict(found)


def _differ(first: dict[str, str] | None, second: dict[str, str] | None) -> set[str]:
    assert first is not None
    assert second is not None
    return {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}


def test_each_part_has_its_place() -> None:
    ground = _ground()
    assert _differ(ground, _ground()) == set()
    assert _differ(ground, _ground(seed=1)) == {"network"}
    first, *others = images(seed=1)
    assert _differ(ground, _ground(calibration=[first, *images(seed=3)])) == {"reading of calibration"}
    assert _differ(ground, _ground(calibration=[first, *others[::-1]])) == {"reading of calibration"}
    assert _differ(ground, _ground(evaluation=images(seed=3))) == {"reading of evaluation"}
    assert _differ(ground, _ground(train=images(seed=3))) == {"reading of train"}


def test_the_number_of_threads_counts() -> None:
    ground, threads = _ground(), torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert _differ(ground, _ground()) == {"threads"}
    finally:
        torch.set_num_threads(threads)


def test_the_number_of_cores_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = _ground()
    monkeypatch.setattr("edgecompress.comparison.ground.available_cores", lambda: 99)
    assert _differ(ground, _ground()) == {"cores"}


@pytest.mark.parametrize("library", ["onnx-ir", "onnxscript", "scipy", "pytest"])
def test_the_version_of_every_library_counts(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ground, version = _ground(), metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "99" if name.replace("_", "-") == library else version(name))
    assert _differ(ground, _ground()) == {"libraries"}


def test_the_accelerator_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    assert accelerator_here() == ""
    ground = _ground()
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("mps"))
    assert _differ(ground, _ground()) == {"accelerator"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", "ab".__getitem__)
    assert accelerator_here() == "cuda: a, b"


def test_there_is_none_where_the_cpu_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.bundle.outcome.cpu_lines", dict)
    monkeypatch.setattr("platform.processor", lambda: "aarch64")
    assert _ground() is None


def test_versions_and_the_machine_count(monkeypatch: pytest.MonkeyPatch) -> None:
    ground = _ground()
    monkeypatch.setattr("edgecompress.comparison.ground.environment", lambda: {"cpu": "another", "torch": "0.1"})
    assert {"cpu", "torch"} <= _differ(ground, _ground())


def test_there_is_none_for_data_that_come_otherwise_each_time() -> None:
    class Drawn:
        """Batches of a generator of its own, which nobody can seed."""

        def __init__(self) -> None:
            self.own = np.random.default_rng(0)

        def __iter__(self) -> Iterator[Any]:
            yield torch.from_numpy(self.own.random((4, 3, 16, 16), np.float32)), torch.zeros(4, dtype=torch.int64)

    assert _ground(train=Drawn()) is None


def test_there_is_none_where_a_module_holds_what_has_no_values() -> None:
    network = seeded(ConvNet)
    vars(network)["held"] = object()
    assert identify(Material(network=network, data=DATA), Recipe(), Progress()).ground is None


def test_there_is_none_where_a_device_measures() -> None:
    device = effective_profile("mobile", ["device.url=ssh://board"]).recipe
    assert _ground(recipe=device) is None
