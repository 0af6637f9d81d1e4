"""Whatever a runtime does in a process of its own, this one gets outputs or a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.child import run_in_child
from edgecompress.validation.elsewhere.place import Answer, RunNode
from tests.exporters.graphs import draw, graph

BATCHES = [{"x": draw(rows, 4, 8, 8, seed=rows)} for rows in (2, 3)]
HALVES = """
import json, sys
from pathlib import Path
import numpy as np
folder, factor, name = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
assert sorted(p.name for p in folder.iterdir()) == ["inputs.npz", "model.onnx"]
with np.load(folder / "inputs.npz") as pack:
    np.savez(folder / "outputs.npz", **{f"{key[0]}_{name}": factor * pack[key] for key in pack.files})
nodes = [{"name": "n", "operator": "Mul", "unit": "CPU", "precision": "f32"}]
(folder / "answer.json").write_text(json.dumps({"ran_on": {"script": "1"}, "nodes": nodes}))
"""


def _run(folder: Path, script: str, **limits: float) -> Answer:
    model = folder / "own" / "model.onnx"
    model.parent.mkdir()
    model.write_bytes(to_bytes(graph("y = Relu(x)")))
    (folder / "script.py").write_text(script)
    values = {"limit_s": 60.0, "memory_bytes": None, **limits}
    return run_in_child(folder / "script.py", model, BATCHES, ["0.5"], **values)  # type: ignore[arg-type]


def test_outputs_come_back_by_batch_and_name(tmp_path: Path) -> None:
    answer = _run(tmp_path, HALVES)
    assert (answer.failure, answer.ran_on) == (None, {"script": "1"})
    assert answer.nodes == [RunNode(name="n", operator="Mul", unit="CPU", precision="f32")]
    for outputs, inputs in zip(answer.outputs, BATCHES, strict=True):
        np.testing.assert_array_equal(outputs["y"], inputs["x"] / 2)


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it was ended by signal 11 (SIGSEGV)"),
        ("raise RuntimeError('no such board')", "it failed: RuntimeError: no such board"),
        ("x = bytearray(2**33)", "it needs more than 4.0 GiB of memory"),
        ("import time; time.sleep(60)", "it took longer than 3 s"),
        (
            "import json, pathlib, sys\n"
            "pathlib.Path(sys.argv[1], 'answer.json').write_text(json.dumps({'failure': 'Strange is unknown'}))",
            "Strange is unknown",
        ),
        ("", "it ended without an answer"),
    ],
)
def test_what_goes_wrong_there_is_a_line(tmp_path: Path, script: str, failure: str) -> None:
    limits = {"limit_s": 3.0} if "sleep" in script else {"memory_bytes": 2**32}
    answer = _run(tmp_path, script, **limits)
    assert (answer.failure, answer.outputs) == (failure, ())
