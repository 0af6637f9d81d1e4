"""The files of a user's code: named, loaded from anywhere, or below a folder."""

from __future__ import annotations

import functools
import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgecompress import compress
from edgecompress.comparison import sources
from edgecompress.comparison.code_files import file_of, files_below, is_installed, loaded_files, module_file
from tests.networks import ConvNet, images, seeded

HERE = Path(__file__).resolve()


def _own(*_: Any) -> float:
    return 1.0


class Own:
    """An object of the user's own."""


@pytest.mark.parametrize(
    "given",
    [_own, Own, Own(), functools.partial(_own, 1), functools.partial(functools.partial(_own, 1), 2)],
    ids=["function", "class", "object", "partial", "partial of a partial"],
)
def test_what_is_handed_over_has_the_file_of_its_code(given: Any) -> None:
    assert file_of("whatever:name", given) == HERE


def test_what_is_named_has_the_file_of_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert file_of("own.py:f") == tmp_path / "own.py"
    assert file_of("own.py:f", "own.py:f") == tmp_path / "own.py"
    assert file_of(f"{__name__}:_own") == HERE
    assert file_of("not.loaded:f") is file_of("top1") is file_of(None) is module_file("builtins") is None


def test_loaded_code_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, gone, odd = (types.ModuleType(name) for name in ("elsewhere", "gone", "odd"))
    elsewhere.__file__, gone.__file__, odd.__file__ = str(tmp_path / "elsewhere.py"), str(tmp_path / "gone.py"), None
    (tmp_path / "elsewhere.py").write_text("")
    for module in (elsewhere, gone, odd):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    found = loaded_files()
    assert {HERE, tmp_path / "elsewhere.py"} <= found
    others = {Path(str(each.__file__)).resolve() for each in (json, np, torch, pytest, sources)}
    assert not found & {*others, tmp_path / "gone.py"}
    assert all(map(is_installed, others))


def test_an_archive_of_code_is_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("packed_nets.py", "SCALE = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "code.zip")
    monkeypatch.delitem(sys.modules, "packed_nets", raising=False)
    __import__("packed_nets")
    assert tmp_path / "code.zip" in loaded_files()
    monkeypatch.delitem(sys.modules, "packed_nets")


def test_a_folder_counts_with_all_below_that_is_code_of_its_own(tmp_path: Path) -> None:
    ours = ["nets.py", "ops/drop.py", "ops/deep/er/low.py"]
    others = ["notes.txt", ".git/hook.py", "env/lib/x.py", "conda/x.py", "a/site-packages/x.py", "node_modules/x.py"]
    for name in (*ours, *others, "env/pyvenv.cfg", "conda/conda-meta/history"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to(tmp_path / ".git", target_is_directory=True)
    assert {str(path.relative_to(tmp_path)) for path in files_below(tmp_path)} == {*ours}


def test_what_a_run_writes_below_the_code_is_no_code_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("")
    (tmp_path / "selftest.py").write_text("")  # of the user's own, in a folder that is no bundle
    (tmp_path / "manifest.json").write_text("{}")  # of another program
    before = {*files_below(tmp_path)}
    quick = ["export.simplify=false", "cpu.runs=10", "quantization.adaround=false"]
    compress(seeded(ConvNet), calibration=images(), output=tmp_path / "runs" / "mobile", overrides=quick)
    assert (tmp_path / "runs" / "mobile" / "selftest.py").is_file()
    assert {*files_below(tmp_path)} == before == {tmp_path / "nets.py", tmp_path / "selftest.py"}


def test_of_an_installed_package_the_folder_alone_counts() -> None:
    folder = Path(str(np.__file__)).parent
    found = [*files_below(folder)]
    assert folder / "__init__.py" in found
    assert {path.parent for path in found} == {folder}
