"""Operators and partitions of graphs that can be counted by hand; and the tools leave nothing behind."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecompress.exporters.mobile_tools import contained, count_accelerated, required_operators
from edgecompress.exporters.ort_format import to_ort
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph

# No accelerator runs ScatterND, which has Relu before and behind it.
SPLIT = "r = Relu(x) z = ScatterND(r, i, u) y = Relu(z)"
CONSTANTS: dict[str, NDArray[Any]] = {"i": np.zeros((1, 4), np.int64), "u": draw(1)}


def _count(folder: Path, body: str, **constants: NDArray[Any]) -> dict[str, Any]:
    (folder / "model.onnx").write_bytes(to_bytes(graph(body, **constants)))
    return count_accelerated(folder / "model.onnx", folder / "optimized.onnx")


def test_nodes_and_partitions_are_counted(tmp_path: Path) -> None:
    for entry in _count(tmp_path, SPLIT, **CONSTANTS).values():
        assert entry["nodes"] == 3
        assert entry["fixed_shapes"] == {"partitions": 2, "supported_nodes": 2, "suitability": "no"}
        assert entry["as_shipped"] == {"partitions": 0, "supported_nodes": 0, "suitability": "no"}
        assert entry["unsupported_operators"] == ["ai.onnx:ScatterND"]


def test_a_graph_that_is_supported_whole_is_one_partition(tmp_path: Path) -> None:
    for entry in _count(tmp_path, "r = Relu(x) y = Sigmoid(r)").values():
        assert entry["fixed_shapes"] == {"partitions": 1, "supported_nodes": 2, "suitability": "yes"}
        assert entry["unsupported_operators"] == []


def test_operators_are_listed_with_their_versions_and_types(tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    path.write_bytes(to_ort(to_bytes(graph("r = Relu(x) y = Sigmoid(r)"))))
    assert required_operators(path).decode().splitlines() == [
        "# Generated from model.ort",
        'ai.onnx;13;Sigmoid{"inputs": {"0": ["float"]}}',
        'ai.onnx;14;Relu{"inputs": {"0": ["float"]}}',
    ]


def test_the_tools_leave_nothing_behind(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = list(logging.getLogger().handlers), list(sys.path), logging.root.manager.disable
    with contained():
        logging.basicConfig(force=True)
        sys.path.append("/nowhere")
        logging.getLogger("tool").critical("done")
    assert (list(logging.getLogger().handlers), list(sys.path), logging.root.manager.disable) == before
    _count(tmp_path, "y = Relu(x)")
    assert capfd.readouterr() == ("", "")
