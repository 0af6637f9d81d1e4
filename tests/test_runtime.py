"""ONNX Runtime is called in one place, and leaves nothing of its own behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edgecompress.metrics.agreement import Agreement
from edgecompress.runtime import declared_shapes, network_rows, open_session, session_rows, tensors, to_bytes
from tests.exporters.graphs import graph

PROGRAM = """
import sys
from pathlib import Path
from edgecompress.exporters.simplify import simplify
from edgecompress.loading.onnx_files import read_onnx
from edgecompress.metrics.agreement import Agreement
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


WIDE = """
<ir_version: 10, opset_import: ["" : 21]>
wide (float[16, 192] x) => (float[16, 64] y) <float a = {0.0002}, uint16 p = {32768}>
{
    q = QuantizeLinear(x, a, p)
    d = DequantizeLinear(q, a, p)
    v = DequantizeLinear<axis=1>(w, c, z)
    y = MatMul(d, v)
}
"""


def test_uint16_times_int8_is_computed_as_the_file_says() -> None:
    draw = np.random.default_rng(0)
    x, weights = draw.normal(size=(16, 192)).astype(np.float32), draw.integers(-127, 128, (192, 64)).astype(np.int8)
    a, c = np.float32(0.0002), np.full(64, 0.002, np.float32)
    model = onnx.parser.parse_model(WIDE)
    constants: dict[str, NDArray[Any]] = {"w": weights, "c": c, "z": np.zeros(64, np.int8)}
    for name, array in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    codes = np.clip(np.rint(x.astype(np.float64) / a), -32768, 32767)
    (given,) = open_session(model.SerializeToString(), 1).run(None, {"x": x})
    expected = codes * np.float64(a) @ (weights * c.astype(np.float64))
    assert Agreement.between([expected.astype(np.float32)], [given]).sqnr_db > 80
