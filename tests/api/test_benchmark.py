"""Models in memory are timed as their files are."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx_ir as ir
import pytest

import edgecompress
from edgecompress import Bundle
from tests.heard import Heard


def test_models_bundles_and_files_are_timed_side_by_side(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    given: list[ir.Model | Bundle | Path] = [ir.load(bundle.artifact), bundle, bundle.artifact, small_bundle]
    found = edgecompress.benchmark(given, runs=10, threads=1, batch_size=[1, 3])
    files = ["models[0]", *3 * [str(bundle.artifact)]]
    assert [(row.file, row.batch_size) for row in found.rows] == [(file, size) for size in (1, 3) for file in files]
    assert len({row.size_bytes for row in found.rows[1:4]}) == 1
    assert found.threads == 1


def test_a_bundle_that_was_changed_is_not_timed(small_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(small_bundle, tmp_path / "changed")
    with (tmp_path / "changed" / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(edgecompress.OutputError, match=r"model\.onnx"):
        edgecompress.benchmark(tmp_path / "changed", runs=10)


def test_more_threads_than_cores_are_told(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    monkeypatch.setattr("edgecompress.api.benchmark.available_cores", lambda: 1)
    edgecompress.benchmark(small_bundle, runs=10, threads=2, progress=heard)
    assert heard.lines == ["2 threads on 1 core wait for one another; time with at most 1"]
    edgecompress.benchmark(small_bundle, runs=10, threads=1, progress=heard)
    assert len(heard.lines) == 1
