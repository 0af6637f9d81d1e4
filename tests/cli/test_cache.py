"""``edgecompress cache`` on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgecompress.cli import main
from edgecompress.cli.cache import bytes_of
from edgecompress.errors import InputError
from edgecompress.system.cache import VARIABLE, Cache, cache_folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))


def _fill(*names: str) -> None:
    for name in names:
        Cache(cache_folder(), print).write(hashlib.sha256(name.encode()).hexdigest(), bytes(968))


def test_it_is_shown_limited_and_cleared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cache"]) == 0
    assert not (tmp_path / "cache").exists()
    _fill("a", "b", "c")
    assert main(["cache"]) == 0
    assert main(["cache", "--limit", "2kB"]) == 0
    assert main(["cache", "--clear"]) == 0
    folder = f"folder: {tmp_path / 'cache'}"
    assert capsys.readouterr().out.splitlines() == [
        *("0 entries, 0 bytes of 5.00 GB", folder),
        *("3 entries, 3.0 kB of 5.00 GB", folder),
        *("2 entries, 2.0 kB of 2.0 kB", folder),
        *("0 entries, 0 bytes of 2.0 kB", folder),
    ]


def test_it_is_shown_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _fill("a")
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(tmp_path / "cache"),
        "entries": 1,
        "size_bytes": 1000,
        "limit_bytes": 5 * 10**9,
    }


@pytest.mark.parametrize("text", ["5", "much", "", "-1GB", "1e30GB", "5 ms", "nan", "inf"])
def test_a_limit_that_is_none_is_told(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["cache", f"--limit={text}"]) == 2
    told = f"error: a limit of {text!r} is no size; give one with its unit, as in --limit 5GB\n"
    assert capsys.readouterr().err == told
    assert not (tmp_path / "cache").exists()
    with pytest.raises(InputError):
        bytes_of(text)


def test_with_a_limit_of_nothing_nothing_is_kept() -> None:
    assert main(["cache", "--limit", "0"]) == 0
    _fill("a")
    assert Cache(cache_folder(), print).usage().entries == 0


def test_a_folder_that_cannot_be_changed_ends_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    assert main(["cache", "--limit", "5GB"]) == 2
    told = f"error: the cache in {str(tmp_path / 'file')!r} cannot be changed: File exists; make it writable, or set"
    assert capsys.readouterr().err == f"{told} {VARIABLE} to another folder\n"


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--clear"]])
def test_a_file_in_the_place_of_the_folder_ends_in_a_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    assert main(["cache", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: the cache in {str(tmp_path / 'file')!r} cannot be ")
    assert shown.err.count("\n") == 1
