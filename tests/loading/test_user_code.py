"""A user's own code: found as a script would find it, and no harm to what has the same name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from edgecompress.errors import DataError, ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.sources import load_data
from edgecompress.loading.user_code import importable, require_no_arguments, resolve
from tests.networks import ConvNet


def test_a_user_s_own_json_py_and_calibration_py_do_no_harm(project: Path) -> None:
    (project / "json.py").write_text("from tests.networks import ConvNet, seeded\nnet = lambda: seeded(ConvNet)\n")
    (project / "calibration.py").write_text("from tests.networks import images\ndata = images\n")
    assert isinstance(load_model("json.py:net"), ConvNet)
    assert len(list(load_data("calibration.py:data", "calibration")())) == 4
    import json

    assert json.loads("[1]") == [1]


def test_a_user_s_file_may_import_its_neighbours(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "neighbour.py").write_text("WIDTH = 3\n")
    (project / "importer.py").write_text(
        "import torch\nfrom neighbour import WIDTH\ndef net(): return torch.nn.Linear(WIDTH, 2)\n"
    )
    model = load_model("importer.py:net")
    assert isinstance(model, nn.Linear)
    assert model.in_features == 3


@pytest.mark.parametrize(
    ("factory", "needed"),
    [
        (lambda: 1, None),
        (lambda *rows, **names: 1, None),
        (lambda rows=3: 1, None),
        (lambda rows: 1, "rows"),
        (lambda *, names: 1, "names"),
        (dict, None),
    ],
)
def test_a_callable_that_needs_an_argument_is_refused(factory: Callable[..., Any], needed: str | None) -> None:
    if needed is None:
        return require_no_arguments(factory, "a.py:f", DataError)
    with pytest.raises(DataError) as caught:
        require_no_arguments(factory, "a.py:f", DataError)
    assert (
        str(caught.value)
        == f"'a.py:f' needs the argument {needed!r}; give a function without arguments that returns it"
    )
    return None


def test_a_folder_comes_first_while_code_is_imported_and_last_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [entry for entry in sys.path if entry != str(tmp_path)]
    monkeypatch.setattr(sys, "path", list(before))
    for _ in range(2):
        with importable(tmp_path):
            assert sys.path[0] == str(tmp_path)
        assert sys.path == [*before, str(tmp_path)]


def test_a_file_that_fails_is_imported_anew_once_it_is_repaired(project: Path) -> None:
    path = Path("repaired.py")
    path.write_text("raise KeyError('unset')\n")
    with pytest.raises(ModelError, match=r"^'repaired\.py' raised KeyError: .*; repair it$"):
        resolve("repaired.py:net", ModelError, "model")
    path.write_text("def net(): return 3\n")
    assert resolve("repaired.py:net", ModelError, "model")() == 3


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("nets.py::net", "model 'nets.py::net' has two colons; did you mean 'nets.py:net'?"),
        ("nets.net", "model 'nets.net' is neither a known file nor a callable; did you mean 'nets.py:net'?"),
        (
            "other.net",
            "model 'other.net' is neither a known file nor a callable; give file.py:callable or"
            " package.module:callable",
        ),
    ],
)
def test_a_callable_that_is_written_another_way_is_offered_as_it_is_read(project: Path, spec: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(spec, ModelError, "model")
    assert str(caught.value) == told
