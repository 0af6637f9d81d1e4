"""A file that was compiled by another version is refused in a line that says how to compile it again."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from edgecompress.bundle.compiled import require_same_compiler
from edgecompress.bundle.draft import open_draft
from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.cli import main
from tests.exporters.bundles import write_bundle

CONTEXT = "model_ctx.onnx"


def _bundle(path: Path, made_by: str | None, files: tuple[str, ...] = (CONTEXT,), place: str = "qnn:sm8650") -> Bundle:
    """A bundle with a compiled file, written as compress writes it."""
    written = read_bundle(write_bundle(path / "plain"))
    ran_on = {} if made_by is None else {"onnxruntime-qnn": made_by}
    entry = {"outcome": "not installed", "failure": "", "files": list(files), "ran_on": ran_on}
    manifest = written.manifest.model_copy(update={"runtimes": {place: {**entry, "nodes": None}}})
    content = {name: (written.path / name).read_bytes() for name in written.manifest.files}
    with open_draft(path / "bundle", overwrite=False) as draft:
        return draft.finish({**content, **dict.fromkeys(files, b"compiled")}, manifest)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.7.0" if name == "onnxruntime-qnn" else version(name))


def test_another_version_is_refused(installed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = _bundle(tmp_path, "2.6.0")
    assert main(["validate", str(bundle.path)]) == 2
    assert capsys.readouterr().err == (
        f"error: bundle {str(bundle.path)!r}: 'model_ctx.onnx' was compiled by onnxruntime-qnn 2.6.0, and 2.7.0 is"
        f" installed; compile it again: compress with --target {bundle.path / 'recipe.toml'}, or install"
        " onnxruntime-qnn==2.6.0\n"
    )


def test_a_version_that_is_not_told_is_refused(
    installed: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = _bundle(tmp_path, None)
    assert main(["validate", str(bundle.path)]) == 2
    assert capsys.readouterr().err == (
        f"error: bundle {str(bundle.path)!r}: 'model_ctx.onnx' was compiled by an unknown version of onnxruntime-qnn,"
        f" and 2.7.0 is installed; compile it again: compress with --target {bundle.path / 'recipe.toml'}\n"
    )


@pytest.mark.parametrize(("made_by", "files"), [("2.7.0", (CONTEXT,)), ("2.6.0", ())])
def test_the_same_version_passes_and_so_does_a_bundle_without_such_a_file(
    installed: None, made_by: str, files: tuple[str, ...], tmp_path: Path
) -> None:
    require_same_compiler(_bundle(tmp_path, made_by, files))


def test_where_the_compiler_is_not_installed_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    bundle = _bundle(tmp_path, "2.6.0")
    monkeypatch.setattr(metadata, "version", missing)
    require_same_compiler(bundle)


def test_a_runtime_of_a_package_that_is_not_installed_is_left_alone(installed: None, tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, "2.6.0", place="board:1")
    require_same_compiler(bundle)


def test_a_compiled_file_that_was_changed_is_refused_by_its_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = _bundle(tmp_path, "2.7.0")
    (bundle.path / CONTEXT).write_bytes(b"Compiled")
    assert main(["validate", str(bundle.path)]) == 2
    assert f"{CONTEXT!r} was changed after it was written; compress again" in capsys.readouterr().err
