"""Damaged files are read, or refused in one line; nothing crashes, hangs or asks for more memory than it may."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from edgecompress import compress
from edgecompress.calibration.statistics_file import save
from edgecompress.data.batches import Batch
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Export
from edgecompress.runtime import to_bytes
from tests.calibration.states import calibration_of, survey_of
from tests.drawn_folders import coco, draw, draw_mask, write, write_json
from tests.mutations import damaged, spoiled_json
from tests.networks import ConvNet, images, seeded

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 20.0
"""For one file; those that are read at all are read in milliseconds."""
NAMES = {
    "onnx": "net.onnx",
    "program": "net.pt2",
    "safetensors": "net.safetensors",
    "state": "net.pt",
    "npz": "data.npz",
    "image": "0.png",
    "labels": "labels.csv",
    "coco": "instances.json",
    "yolo": "labels/0.txt",
    "mask": "masks/0.png",
    "manifest": "manifest.json",
    "report": "report.json",
    "profile": "mine.toml",
    "statistics": "statistics.npz",
}
JSON = ("manifest", "report", "coco")


class Reader:
    """A process that reads files; another one comes in its place when it dies."""

    def __init__(self) -> None:
        self._process = self._started()

    def read(self, kind: str, path: Path) -> str:
        """What became of a file: ``read``, ``refused`` and the error, ``contained``, or ``fault`` and what it was."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind} {path}\n")
        self._process.stdin.flush()
        answer = self._line()
        native = answer == "native"
        if native:
            answer = self._line()
        if answer:
            return answer
        self.close()
        fate = "hangs" if self._process.returncode == -9 else f"ends with status {self._process.returncode}"
        self._process = self._started()
        return "contained" if native else f"fault: the process {fate}"

    def close(self) -> None:
        """End the process, if it has not ended."""
        with self._process as process:
            process.kill()

    def _line(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        return stdout.readline().rstrip("\n") if select.select([stdout], [], [], PATIENCE_S)[0] else ""

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.reader"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    started = Reader()
    yield started
    started.close()


COMPANIONS = {
    "image": ("labels.csv",),
    "labels": ("0.png",),
    "coco": ("0.png",),
    "yolo": ("images/0.png",),
    "mask": ("images/0.png",),
}
"""What has to lie next to a file."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole file of each kind, with what has to lie next to it."""
    folder = tmp_path_factory.mktemp("whole")
    network, batch = seeded(ConvNet), Batch(inputs={"image": images(rows=2, batches=1)[0][0].numpy()})
    program = capture(network, batch, Export())
    (folder / "net.onnx").write_bytes(to_bytes(to_onnx(program, Export())))
    torch.export.save(program, folder / "net.pt2")
    save_file(network.state_dict(), folder / "net.safetensors")
    torch.save(network.state_dict(), folder / "net.pt")
    np.savez(folder / "data.npz", image=batch.inputs["image"], labels=np.array([0, 1]))
    Image.fromarray(np.arange(3 * 64, dtype=np.uint8).reshape(8, 8, 3)).save(folder / "0.png")
    (folder / "labels.csv").write_text("image,label\n0.png,3\n")
    draw(folder / "images" / "0.png")
    write_json(folder / "instances.json", coco({"0.png": (8, 8)}, [(1, 7, [1, 2, 3.5, 4])], cat=7))
    write(folder / "labels" / "0.txt", "0 0.5 0.5 0.25 0.5\n3 0.5 0.5 0.25 0.5\n")
    draw_mask(folder / "masks" / "0.png", np.eye(8))
    (folder / "mine.toml").write_text('extends = "edge"\nreason = "mine"\n[pruning]\namount = 0.25\n[budgets]\n')
    save(calibration_of(replace(survey_of([0, 1, 5]), complete=True), [0, 1, 5]), folder / "statistics.npz")
    made = compress(network, target="mobile", calibration=images(), output=folder / "bundle")
    for name in ("manifest.json", "report.json"):
        (folder / name).write_bytes((made.path / name).read_bytes())
    return folder


@pytest.mark.parametrize("kind", NAMES)
def test_a_whole_file_is_read(kind: str, whole: Path, reader: Reader, tmp_path: Path) -> None:
    path = whole / "bundle" / "manifest.json" if kind == "manifest" else _alone(kind, whole, tmp_path)
    assert reader.read(kind, path) == "read"


@pytest.mark.parametrize("kind", NAMES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    kind: str, whole: Path, reader: Reader, tmp_path: Path, data: st.DataObject
) -> None:
    path = _alone(kind, whole, tmp_path)
    content = (whole / NAMES[kind]).read_bytes()
    ways = [damaged(content), spoiled_json(content)] if kind in JSON else [damaged(content)]
    path.write_bytes(data.draw(st.one_of(ways)))
    answer = reader.read(kind, path)
    event(answer)
    assert not answer.startswith("fault"), answer


def _alone(kind: str, whole: Path, folder: Path) -> Path:
    """A copy of a file in a folder of its own, with what it needs next to it."""
    own = folder / "own"
    for name in (NAMES[kind], *COMPANIONS.get(kind, ())):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_bytes((whole / name).read_bytes())
    return own / NAMES[kind]
