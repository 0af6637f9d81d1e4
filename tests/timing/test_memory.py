"""Memory of a session: what it holds shows, and nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgecompress.runtime import to_bytes
from edgecompress.timing.memory import session_bytes
from tests.exporters.graphs import draw, graph

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
X = draw(1, 4, 8, 8)


def test_weights_that_are_held_show(tmp_path: Path) -> None:
    model, weight = tmp_path / "model.onnx", draw(256, 16384)  # 16.8 MB
    model.write_bytes(to_bytes(graph("f = Flatten(x) y = MatMul(f, w)", w=weight)))
    needed = session_bytes(model, {"x": X, "unused": X}, 1)
    assert needed is not None
    assert weight.nbytes <= needed <= 6 * weight.nbytes  # the file's bytes, the weights, and their packed form


def test_a_graph_that_holds_nothing_needs_next_to_nothing(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(to_bytes(graph("y = Relu(x)")))
    needed = session_bytes(model, {"x": X}, 1)
    assert needed is not None
    assert 0 <= needed < 2e6


def test_a_file_that_does_not_run_has_no_figure(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"garbage")
    assert session_bytes(tmp_path / "model.onnx", {"x": np.zeros(1, np.float32)}, 1) is None
