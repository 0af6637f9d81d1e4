"""A temporary folder that cannot hold what is written ends in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgecompress.errors import EdgecompressError, ModelError, OutputError
from edgecompress.system.scratch import scratch_folder


def test_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder() as folder:
        (folder / "file").write_bytes(b"content")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError) as caught, scratch_folder():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    line = f"temporary folder '{tmp_path}' cannot be written: No space left on device; set TMPDIR to one with room"
    assert str(caught.value) == line


@pytest.mark.parametrize("full", [True, False])
def test_what_native_code_says_of_a_full_disk_is_explained(full: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if full:
        fill(monkeypatch)
    with pytest.raises(EdgecompressError) as caught, scratch_folder():
        raise EdgecompressError("ONNX Runtime refuses the model")
    assert isinstance(caught.value, OutputError) == full


def test_another_error_of_the_system_is_not_taken_for_it() -> None:
    with pytest.raises(OSError, match="Exec format error") as caught, scratch_folder():
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
    assert not isinstance(caught.value, EdgecompressError)


def test_a_temporary_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with (
        pytest.raises(OutputError, match="'/nowhere' cannot be written: No such file"),
        scratch_folder(),
    ):
        pass


def test_a_user_s_mistake_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch)
    with pytest.raises(ModelError), scratch_folder():
        raise ModelError("mine")


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", refuse)
