"""Whatever a runtime does in a process of its own, this one gets outputs or a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecompress.progress import Item, Progress
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
(folder / "beats").write_bytes(b"..")
(folder / "made.bin").write_bytes(b"compiled")
(folder / "answer.json").write_text(json.dumps({"ran_on": {"script": "1"}, "nodes": nodes, "files": ["made.bin"]}))
"""


SILENT = Progress()


class Counted(Progress):
    """Keeps what is counted, and how far it came."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int | None, int]] = []

    def track(
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        for number, item in enumerate(items, 1):
            yield item
            self.told.append((label, counted, total, number))


def _run(folder: Path, script: str, counted: Progress = SILENT, **limits: float) -> Answer:
    model = folder / "own" / "model.onnx"
    model.parent.mkdir()
    model.write_bytes(to_bytes(graph("y = Relu(x)")))
    (folder / "script.py").write_text(script)
    values = {"limit_s": 60.0, "memory_bytes": None, "progress": counted, "label": "halving", **limits}
    return run_in_child(folder / "script.py", model, BATCHES, ["0.5"], **values)  # type: ignore[arg-type]


def test_outputs_come_back_by_batch_and_name(tmp_path: Path) -> None:
    counted = Counted()
    answer = _run(tmp_path, HALVES, counted)
    assert (answer.failure, answer.ran_on) == (None, {"script": "1"})
    assert counted.told == [("halving", "batch", 2, 1), ("halving", "batch", 2, 2)]
    assert answer.files == {"made.bin": b"compiled"}
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
