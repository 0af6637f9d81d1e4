"""Models in memory are timed as their files are."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

import edgecompress


def test_models_bundles_and_files_are_timed_side_by_side(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    found = edgecompress.benchmark([ir.load(bundle.artifact), bundle, bundle.artifact], runs=10, threads=1)
    assert [row.file for row in found.rows] == ["models[0]", str(bundle.artifact), str(bundle.artifact)]
    assert len({row.size_bytes for row in found.rows[1:]}) == 1
    assert found.threads == 1
