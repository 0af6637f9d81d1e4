"""The child that runs inside the emulator, as a program of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere import emulated
from tests.exporters.graphs import draw, graph, run

MODEL = graph("r = Relu(x) y = Neg(r)")


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-B", emulated.__file__, "model.onnx", "inputs.npz", "outputs.npz"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_runs_every_batch_whatever_its_size(tmp_path: Path) -> None:
    batches = [draw(rows, 4, 8, 8, seed=rows) for rows in range(1, 12)]
    (tmp_path / "model.onnx").write_bytes(to_bytes(MODEL))
    np.savez(tmp_path / "inputs.npz", allow_pickle=False, **{f"{i}_x": x for i, x in enumerate(batches)})
    done = _run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert len(outputs.files) == len(batches)
        for index, batch in enumerate(batches):
            np.testing.assert_array_equal(outputs[f"{index}_y"], run(MODEL, batch))


def test_a_failure_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("RuntimeError: ONNX Runtime ")
    assert len(done.stderr.splitlines()) == 1
