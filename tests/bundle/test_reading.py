"""A bundle is read back with every byte checked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.bundle.manifest import MANIFEST, SIGNATURE, canonical
from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import OutputError
from tests.exporters.bundles import FILES
from tests.exporters.bundles import write_bundle as _write


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        read_bundle(tmp_path)
    assert str(caught.value) == (
        f"{str(tmp_path)!r} is no bundle: it has no manifest.json; give a folder that compress wrote"
    )


def test_a_changed_a_missing_and_an_extra_file_are_named(tmp_path: Path) -> None:
    _write(tmp_path / "bundle")
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"onny")
    with pytest.raises(OutputError, match=r"'model\.onnx' was changed"):
        read_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "model.onnx").unlink()
    with pytest.raises(OutputError, match=r"lacks 'model\.onnx'"):
        read_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'notes\.txt'"):
        read_bundle(tmp_path / "bundle")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return _write(tmp_path / "bundle").path


def _refusal(folder: Path) -> str:
    with pytest.raises(OutputError) as caught:
        read_bundle(folder)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_every_changed_bit_cut_and_appended_byte_is_found(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    flips = [content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :] for at in range(len(content))]
    for changed in (*flips, content[:-1], content[1:], content + b"\n", b""):
        (folder / name).write_bytes(changed)
        assert "changed" in _refusal(folder) or "version" in _refusal(folder)


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_link_to_the_same_bytes_is_no_file_of_the_bundle(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / "elsewhere")
    (folder / name).symlink_to(folder.parent / "elsewhere")
    assert "lacks" in _refusal(folder) or "is no bundle" in _refusal(folder)


def test_a_folder_a_hidden_file_a_pipe_and_a_dangling_link_are_found(folder: Path) -> None:
    for name, make in (
        ("inner", Path.mkdir),
        (".hidden", Path.touch),
        ("pipe", os.mkfifo),
        ("dangling", lambda path: path.symlink_to("nowhere")),
        (SIGNATURE, Path.mkdir),
    ):
        make(folder / name)
        assert _refusal(folder) == f"bundle {str(folder)!r} holds {name!r}, which is not of the bundle; remove it"
        (folder / name).rmdir() if (folder / name).is_dir() else (folder / name).unlink()
    assert read_bundle(folder).passed


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace('"recipe": {}', '"recipe": {},\n  "recipe": {}'),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace('"mobile"', '"mobil\\u0065"'),
        lambda text: text.replace("    ", "   "),
        lambda text: json.dumps(json.loads(text)),
    ],
)
def test_the_same_manifest_written_otherwise_is_found(folder: Path, rewrite: Callable[[str], str]) -> None:
    text = (folder / MANIFEST).read_text()
    assert rewrite(text) != text
    (folder / MANIFEST).write_bytes(rewrite(text).encode())
    assert "the bundle was changed, compress again" in _refusal(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "inner/file", "..", "", "model.onnx/"])
def test_a_manifest_cannot_name_files_elsewhere(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_bytes(b"")
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "size_bytes": 0}
    document = json.loads((folder / MANIFEST).read_text())
    del document["digest"]
    document["files"][name] = entry
    digest = hashlib.sha256(canonical(document)).hexdigest()
    (folder / MANIFEST).write_bytes(canonical({**document, "digest": digest}))
    assert f"lacks {name!r}; compress again" in _refusal(folder)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b"\xff\xfe{}", b" " * 2**26 + b"{}"]
)
def test_a_manifest_that_no_json_reader_should_take_ends_in_one_line(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    assert _refusal(folder) == "manifest.json is not JSON; the bundle was changed, compress again"
