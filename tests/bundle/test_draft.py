"""A bundle is written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgecompress.bundle import draft
from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.manifest import MANIFEST
from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import OutputError
from edgecompress.system.durable import partial_of
from tests.exporters.bundles import FILES, MADE
from tests.exporters.bundles import write_bundle as _write


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = _write(tmp_path / "deep" / "bundle")
    read = read_bundle(tmp_path / "deep" / "bundle")
    assert read.manifest == written.manifest
    assert read.artifact.read_bytes() == b"onnx"
    assert read.passed
    assert _names(tmp_path / "deep") == {"bundle"}


def test_a_draft_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="midway"), open_draft(tmp_path / "bundle", overwrite=False):
        raise RuntimeError("midway")
    assert not _names(tmp_path)


def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device; choose another --output"):
        _write(tmp_path / "bundle")
    assert not _names(tmp_path)


def test_a_full_disk_keeps_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "bundle")
    calls = iter([None, None, OSError(errno.ENOSPC, "full")])

    def full_at_the_third(descriptor: int) -> None:
        error = next(calls)
        if error is not None:
            raise error

    monkeypatch.setattr("os.fsync", full_at_the_third)
    with pytest.raises(OutputError, match="full"):
        _write(tmp_path / "bundle", {"model.onnx": b"new", "recipe.toml": b"new"}, overwrite=True)
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"onnx"
    assert _names(tmp_path) == {"bundle"}


def test_a_bundle_is_replaced_only_when_asked(tmp_path: Path) -> None:
    _write(tmp_path / "bundle")
    with pytest.raises(OutputError, match=r"^output '.*' exists; choose another --output or add --overwrite$"):
        _write(tmp_path / "bundle", {"model.onnx": b"new"})
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"onnx"
    _write(tmp_path / "bundle", {"model.onnx": b"new"}, overwrite=True)
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"new"
    assert _names(tmp_path) == {"bundle"}
    assert _names(tmp_path / "bundle") == {"model.onnx", MANIFEST}


@pytest.mark.parametrize("name", ["a file", "a folder of files"])
def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, name: str) -> None:
    output = tmp_path / "thesis"
    if name == "a file":
        output.write_text("all my work")
    else:
        output.mkdir()
        (output / "thesis.txt").write_text("all my work")
    for overwrite in (False, True):
        with pytest.raises(OutputError) as caught:
            _write(output, overwrite=overwrite)
        told = f"output {str(output)!r} exists, is no bundle and is kept; name a new folder as --output"
        assert str(caught.value) == told
    assert output.exists()


def test_a_bundle_with_a_file_of_the_user_s_is_kept(tmp_path: Path) -> None:
    _write(tmp_path / "bundle")
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds 'notes.txt', which is not of the bundle, and is kept; move it"):
            _write(tmp_path / "bundle", overwrite=overwrite)


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert _write(tmp_path / "bundle", overwrite=True).passed


def test_a_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        _write(tmp_path / "file" / "bundle")


@pytest.mark.parametrize(
    "content",
    ['{"name": "webapp", "icons": []}', "[]", "no JSON", '{"format_version": 1, "files": ["model.onnx"]}'],
)
def test_a_foreign_folder_with_a_manifest_is_kept(tmp_path: Path, content: str) -> None:
    output = tmp_path / "webapp"
    output.mkdir()
    (output / MANIFEST).write_text(content)
    with pytest.raises(OutputError, match="is no bundle and is kept"):
        _write(output, overwrite=True)
    assert (output / MANIFEST).read_text() == content


@pytest.mark.parametrize("name", ["notes.txt", "model.onnx"])
def test_a_bundle_with_a_stranger_in_it_is_kept(tmp_path: Path, name: str) -> None:
    _write(tmp_path / "bundle")
    (tmp_path / "bundle" / name).unlink(missing_ok=True)
    (tmp_path / "bundle" / name).mkdir()
    with pytest.raises(OutputError, match=rf"holds '{name}', which is not of the bundle, and is kept"):
        _write(tmp_path / "bundle", overwrite=True)
    assert (tmp_path / "bundle" / name).is_dir()


def test_a_bundle_that_was_changed_can_be_replaced(tmp_path: Path) -> None:
    _write(tmp_path / "bundle")
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"changed")
    (tmp_path / "bundle" / "recipe.toml").unlink()
    manifest = (tmp_path / "bundle" / MANIFEST).read_text()
    (tmp_path / "bundle" / MANIFEST).write_text(manifest.replace("mobile", "edge"))
    _write(tmp_path / "bundle", overwrite=True)
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"onnx"


def test_a_link_stays_and_the_bundle_behind_it_is_replaced(tmp_path: Path) -> None:
    _write(tmp_path / "disk" / "bundle")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "bundle")
    _write(tmp_path / "link", {"model.onnx": b"new"}, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert read_bundle(tmp_path / "link").artifact.read_bytes() == b"new"
    assert _names(tmp_path) == {"disk", "link"}
    assert _names(tmp_path / "disk") == {"bundle"}


def test_folders_made_on_the_way_go_with_a_draft_that_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with (
        pytest.raises(RuntimeError, match="midway"),
        open_draft(tmp_path / "old" / "new" / "deep" / "b", overwrite=False),
    ):
        raise RuntimeError("midway")
    assert _names(tmp_path) == {"old"}
    assert not _names(tmp_path / "old")


def test_a_folder_made_on_the_way_stays_where_something_came_to_lie_in_it(tmp_path: Path) -> None:
    thesis = tmp_path / "new" / "thesis.txt"

    def fail() -> None:
        thesis.write_text("all my work")
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"), open_draft(tmp_path / "new" / "deep" / "b", overwrite=False):
        fail()
    assert _names(tmp_path / "new") == {"thesis.txt"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_name_that_is_too_long_is_the_user_s(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(
        OutputError, match=r"^output '.*' cannot be written: File name too long; choose another --output$"
    ):
        _write(tmp_path / ("x" * 300), overwrite=overwrite)


def test_a_second_run_into_the_same_folder_is_refused(tmp_path: Path) -> None:
    with open_draft(tmp_path / "bundle", overwrite=False):
        with pytest.raises(OutputError, match="is being written by another run; wait for it, or choose another"):
            _write(tmp_path / "bundle", overwrite=True)
        _write(tmp_path / "other")
    assert _names(tmp_path) == {"other"}


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    left = partial_of(tmp_path / "bundle")
    (left / "bundle").mkdir(parents=True)
    (left / "bundle" / "model.onnx").write_bytes(b"half")
    (left / "lock").touch()
    _write(tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"onnx"
    assert _names(tmp_path) == {"bundle"}


def test_an_output_that_a_killed_run_had_moved_away_is_put_back(tmp_path: Path) -> None:
    _write(tmp_path / "bundle")
    partial_of(tmp_path / "bundle").mkdir()
    (tmp_path / "bundle").rename(partial_of(tmp_path / "bundle") / "old")
    with pytest.raises(OutputError, match=r"^output '.*' exists; choose another --output or add --overwrite$"):
        _write(tmp_path / "bundle")
    assert read_bundle(tmp_path / "bundle").passed
    assert _names(tmp_path) == {"bundle"}


def test_where_names_cannot_be_exchanged_the_bundle_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "bundle")
    monkeypatch.setattr(draft, "exchange", lambda first, second: False)
    _write(tmp_path / "bundle", {"model.onnx": b"new"}, overwrite=True)
    assert read_bundle(tmp_path / "bundle").artifact.read_bytes() == b"new"
    assert _names(tmp_path) == {"bundle"}


def test_an_output_that_came_to_be_there_meanwhile_is_kept(tmp_path: Path) -> None:
    with open_draft(tmp_path / "bundle", overwrite=True) as made:
        (tmp_path / "bundle").mkdir()
        (tmp_path / "bundle" / "thesis.txt").write_text("all my work")
        with pytest.raises(OutputError, match="is no bundle and is kept"):
            made.finish(FILES, MADE)
    assert _names(tmp_path) == {"bundle"}
    assert _names(tmp_path / "bundle") == {"thesis.txt"}


def test_a_link_in_the_place_of_the_draft_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    partial_of(tmp_path / "bundle").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link; choose another --output"):
        _write(tmp_path / "bundle")
    assert not _names(tmp_path / "elsewhere")
