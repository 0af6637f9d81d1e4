"""ONNX Runtime is called in one place, and leaves nothing of its own behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from edgecompress.runtime import to_bytes
from tests.exporters.graphs import graph

PROGRAM = """
import sys
from pathlib import Path
from edgecompress.exporters.simplify import simplify
from edgecompress.onnx_files import read_onnx
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
