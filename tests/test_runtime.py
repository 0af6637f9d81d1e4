"""ONNX Runtime is called in one place, and leaves nothing of its own behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgecompress.runtime import declared_shapes, network_rows, open_session, session_rows, tensors, to_bytes
from tests.exporters.graphs import graph

PROGRAM = """
import sys
from pathlib import Path
from edgecompress.exporters.simplify import simplify
from edgecompress.loading.onnx_files import read_onnx
from edgecompress.runtime import open_session

open_session(Path(sys.argv[1]), threads=1)
simplify(read_onnx(Path(sys.argv[1])))
"""


def test_onnx_runtime_writes_no_file_of_its_telemetry(tmp_path: Path) -> None:
    model, folder = tmp_path / "model.onnx", tmp_path / "tmp"
    model.write_bytes(to_bytes(graph("y = Relu(x)")))
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", PROGRAM, str(model)]
    subprocess.run(
        command, check=True, env={**kept, "TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[1])}
    )
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "axes", "rows"), [((2, "batch", 3), {"x": 1}, None), ((2, 4, 3), {"x": 1}, 4), ((2, 4, 3), {}, 2)]
)
def test_the_rows_of_a_run_are_the_size_of_the_batch_axis(
    state: tuple[int | str, ...], axes: dict[str, int], rows: int | None
) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 20]>
        agraph (float[{", ".join(map(str, state))}] x) => (float[a, b, c] y) {{ y = Relu(x) }}"""
    )
    assert declared_shapes(model) == {"x": state}
    assert network_rows(model, axes) == session_rows(open_session(model, threads=1), axes) == rows


def test_a_program_declares_which_dimensions_are_dynamic() -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(nn.ReLU(), (torch.ones(2, 4, 3),), dynamic_shapes=({1: batch},))
    first, second, third = declared_shapes(program)["input"]
    assert (first, third) == (2, 3)
    assert isinstance(second, str)
    assert declared_shapes(nn.ReLU()) == {}


def test_a_number_stays_a_number_as_a_tensor() -> None:
    assert tensors({"rate": np.array(2.0)})["rate"].shape == ()
