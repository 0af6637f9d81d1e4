"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgecompress.errors import OutputError
from edgecompress.system.durable import replacing, update_whole, write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"), replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_updates_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "file"

    def add(line: str) -> None:
        update_whole(path, lambda: (path.read_bytes() if path.exists() else b"") + f"{line}\n".encode())

    lines = [f"line {number}" for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, lines))
    assert sorted(path.read_text().splitlines()) == sorted(lines)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", [".", "..", "/", "inner"])
def test_what_a_folder_has_the_name_of_is_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    with pytest.raises(OutputError, match="is a folder; name a file in it"), replacing(Path(name)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    for place in (tmp_path, Path()):
        with pytest.raises(OutputError) as caught:
            write_whole(place, b"text")
        assert str(caught.value) == f"{str(place)!r} is a folder; name a file in it"
