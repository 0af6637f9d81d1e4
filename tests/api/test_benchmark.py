"""Models in memory are timed as their files are."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

import edgecompress
from edgecompress import Bundle


def test_models_bundles_and_files_are_timed_side_by_side(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    given: list[ir.Model | Bundle | Path] = [ir.load(bundle.artifact), bundle, bundle.artifact]
    found = edgecompress.benchmark(given, runs=10, threads=1, batch_size=[1, 3])
    files = ["models[0]", str(bundle.artifact), str(bundle.artifact)]
    assert [(row.file, row.batch_size) for row in found.rows] == [(file, size) for size in (1, 3) for file in files]
    assert len({row.size_bytes for row in found.rows[1:3]}) == 1
    assert found.threads == 1
