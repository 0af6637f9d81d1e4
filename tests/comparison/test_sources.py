"""The code that results rest on is known by its files."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.comparison.sources import digest_package, digest_sources
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.recipe.tables import Evaluation, Pruning, Recipe, Training
from edgecompress.registry import CRITERIA
from tests.exporters.graphs import graph
from tests.networks import ConvNet, seeded

NET = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(2, 2)\n"


def _digest(network: Any, recipe: Recipe | None = None, **by: Any) -> str | None:
    return digest_sources(network, recipe or Recipe(), MeasuredBy(**by))


def _loaded(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of a file of the user's own."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def _net(file: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    made: nn.Module = _loaded("own_nets", file, monkeypatch).Net()
    return made


def test_a_file_next_to_that_of_a_class_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NET)
    network = nn.Sequential(nn.ReLU(), _net(tmp_path / "nets.py", monkeypatch))
    first = _digest(network)
    (tmp_path / "notes.txt").write_text("not code")
    assert _digest(network) == first is not None
    (tmp_path / "layers.py").write_text("SCALE = 2\n")
    second = _digest(network)
    (tmp_path / "layers.py").write_text("SCALE = 3\n")
    assert len({first, second, _digest(network)}) == 3


def _changes(file: Path, network: Any, recipe: Recipe | None = None) -> bool:
    """Whether another content of a file is other code."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("SCALE = 1\n")
    first = _digest(network, recipe)
    file.write_text("SCALE = 2\n")
    assert first is not None
    return _digest(network, recipe) != first


def test_a_file_below_the_folder_of_a_class_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NET)
    network = _net(tmp_path / "nets.py", monkeypatch)
    assert _changes(tmp_path / "ops" / "deep" / "drop.py", network)
    assert not _changes(tmp_path / ".venv" / "drop.py", network)
    assert not _changes(tmp_path / "ops" / "drop.txt", network)


def test_code_that_is_imported_from_elsewhere_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss, which nothing but training loads, imports a helper of another folder."""
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "helper_elsewhere.py").write_text("SCALE = 1\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own_losses.py").write_text(
        "from helper_elsewhere import SCALE\n\n\ndef f(outputs, targets): return SCALE * outputs.sum()\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "library")
    recipe = Recipe(training=Training(loss=f"{tmp_path}/project/own_losses.py:f"))
    assert _changes(tmp_path / "library" / "helper_elsewhere.py", nn.ReLU(), recipe)
    for name in ("helper_elsewhere", "own_losses"):
        monkeypatch.delitem(sys.modules, name)


def test_a_folder_of_too_much_code_or_of_code_that_cannot_be_read_is_not_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets.py").write_text(NET)
    network = _net(tmp_path / "nets.py", monkeypatch)
    assert _digest(network) is not None
    with monkeypatch.context() as patched:
        patched.setattr("edgecompress.comparison.sources.MOST_FILES", 1)
        assert _digest(network) is None
    monkeypatch.setattr(Path, "read_bytes", _refuse)
    assert _digest(network) is None


def _refuse(_: Path) -> bytes:
    raise PermissionError


def test_pytorchs_own_classes_and_graphs_have_no_files() -> None:
    onnx = graph("y = Neg(x)")
    program = torch.export.export(seeded(ConvNet), (torch.rand(2, 3, 16, 16),))
    assert _digest(nn.Sequential(nn.Linear(2, 2))) == _digest(onnx) == _digest(program)


def test_own_functions_that_are_named_count(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def f(*given): return 1.0\n")
    recipe = Recipe(
        evaluation=Evaluation(metric=f"{tmp_path}/own.py:f", postprocess=f"{tmp_path}/own.py:f"),
        training=Training(loss=f"{tmp_path}/own.py:f"),
    )
    first = _digest(nn.ReLU(), recipe)
    (tmp_path / "helper.py").write_text("LIMIT = 1\n")
    assert _digest(nn.ReLU(), recipe) != first


def test_own_functions_that_are_handed_over_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text("def f(*given): return 1.0\n")
    by = {"metric": _loaded("handed_over", tmp_path / "own.py", monkeypatch).f}

    def digests() -> tuple[str | None, str | None]:
        return _digest(nn.ReLU(), MeasuredBy(**by).named_in(Recipe()), **by), _digest(nn.ReLU())

    handed, none = digests()
    assert None not in (handed, none)
    (tmp_path / "helper.py").write_text("LIMIT = 1\n")
    assert digests()[0] not in (None, handed)
    assert digests()[1] == none


def test_code_without_a_file_is_not_known_again() -> None:
    class Typed(nn.Module):
        pass

    Typed.__module__ = "typed_in"
    assert _digest(Typed()) is None
    assert _digest(nn.ReLU(), Recipe(training=Training(loss="typed_in:loss"))) is None


def test_what_another_package_registers_is_not_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(pruning=Pruning(importance="l1"))
    assert _digest(nn.ReLU(), recipe) is not None
    monkeypatch.setattr("edgecompress.comparison.sources.built_in", lambda kind: () if kind is CRITERIA else ("top1",))
    assert _digest(nn.ReLU(), recipe) is None


def test_the_package_has_a_digest() -> None:
    assert len(digest_package()) == 64
