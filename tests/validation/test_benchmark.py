"""Benchmark: the slower file is called slower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.errors import ModelError
from edgecompress.runtime import to_bytes
from edgecompress.validation.benchmark import benchmark
from tests.exporters.graphs import draw, graph


def _file(folder: Path, name: str, layers: int) -> Path:
    chain = " ".join(f"h{i + 1} = Conv<pads=[1,1,1,1]>(h{i}, w)" for i in range(layers))
    body = f"h0 = Identity(x) {chain} y = Relu(h{layers})"
    path = folder / name
    path.write_bytes(to_bytes(graph(body, w=draw(4, 4, 3, 3))))
    return path


def test_thirty_layers_are_slower_than_one(tmp_path: Path) -> None:
    one, thirty = _file(tmp_path, "one.onnx", 1), _file(tmp_path, "thirty.onnx", 30)
    first, second = benchmark([one, thirty], threads=1, runs=30)
    assert first.verdict == "no difference"
    assert (first.low, first.speedup, first.high) == (1, 1, 1)
    assert second.verdict == "slower"
    assert second.low <= second.speedup <= second.high < 1
    assert second.size_bytes == thirty.stat().st_size
    assert np.isclose(second.speedup, first.latency.median_ms / second.latency.median_ms)


@pytest.mark.parametrize(("content", "words"), [(None, "does not exist"), (b"garbage", "ONNX Runtime refuses")])
def test_a_file_that_cannot_be_timed_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.onnx.*{words}"):
        benchmark([path], threads=1, runs=10)


def test_a_folder_cannot_be_timed(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder; give a file in it, .*/model\.onnx for a bundle"):
        benchmark([tmp_path], threads=1, runs=10)


def test_weights_beside_the_file_are_found(tmp_path: Path) -> None:
    ir.save(
        graph("y = Conv<pads=[1,1,1,1]>(x, w)", w=draw(4, 4, 3, 3)), tmp_path / "model.onnx", external_data="weights"
    )
    assert (tmp_path / "weights").stat().st_size >= 4 * 4 * 3 * 3 * 4
    (row,) = benchmark([tmp_path / "model.onnx"], threads=1, runs=10)
    assert row.latency.median_ms > 0
