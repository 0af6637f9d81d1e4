"""Checkpoints are whole, belong to one run, and are read without running code."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.errors import ModelError, OutputError
from edgecompress.training import DistillationLoss, Settings, cosine, cross_entropy
from edgecompress.training.checkpoint import FILE, PARTIAL, Checkpoints, fingerprint
from tests.conftest import ROOT
from tests.training.batches import stack

STATE = {"position": {"step": 3}, "weights": {"a": torch.arange(4.0)}}


def _open(folder: Path, run: str = "one", steps: int | None = None, seconds: float = 1e9) -> Checkpoints:
    return Checkpoints(folder, run, steps, seconds)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    assert _open(folder).load() is None
    _open(folder).save(STATE, 3)
    state = _open(folder).load()
    assert state is not None
    assert state["position"] == STATE["position"]
    assert torch.equal(state["weights"]["a"], torch.arange(4.0))
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_a_checkpoint_is_due_after_steps_or_seconds(tmp_path: Path) -> None:
    checkpoints = _open(tmp_path, steps=5)
    assert [checkpoints.due(step) for step in (4, 5)] == [False, True]
    checkpoints.save(STATE, 5)
    assert [checkpoints.due(step) for step in (9, 10)] == [False, True]
    assert not _open(tmp_path).due(10**6)
    assert _open(tmp_path, seconds=0.0).due(0)
    resumed = _open(tmp_path, steps=5)
    resumed.load()
    assert [resumed.due(step) for step in (7, 8)] == [False, True]


def test_another_run_is_refused_and_its_checkpoint_kept(tmp_path: Path) -> None:
    _open(tmp_path).save(STATE, 3)
    with pytest.raises(
        OutputError,
        match=r"^'.*' is from another run: its model, settings, loss or data differ;"
        r" delete it, or choose another folder for checkpoints$",
    ):
        _open(tmp_path, run="other").load()
    assert _open(tmp_path).load() is not None


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("content", [b"", b"text", {"format": 99, "run": "one", "state": STATE}, {"x": 1}, [1], Evil()])
def test_a_file_that_is_no_checkpoint_is_refused(content: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    if isinstance(content, bytes):
        (folder / FILE).write_bytes(content)
    else:
        torch.save(content, folder / FILE)
    with pytest.raises(OutputError, match=r"training\.pt' is no checkpoint of this version; delete it, or choose"):
        _open(folder).load()
    assert not Path("hacked").exists()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match=r"holds other files \(thesis.tex\); choose an empty or a new folder"):
        _open(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"^checkpoint folder '.*' cannot be written: .*; choose another folder$"):
            _open(folder)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = _open(tmp_path)
    checkpoints.save(STATE, 3)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        checkpoints.save({"position": {"step": 4}}, 4)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    state = _open(tmp_path).load()
    assert state is not None
    assert state["position"]["step"] == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from edgecompress.training.checkpoint import Checkpoints

checkpoints = Checkpoints(Path(sys.argv[1]), "one", None, 1e9)
checkpoints.save({"position": {"step": 3}}, 3)
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
checkpoints.save({"position": {"step": 4}}, 4)
"""


def test_killed_while_it_writes_the_last_one_stays(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -9
    assert (tmp_path / PARTIAL).exists()
    checkpoints = _open(tmp_path)
    state = checkpoints.load()
    assert state is not None
    assert state["position"]["step"] == 3
    checkpoints.save(STATE, 5)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_state_that_could_not_be_read_back_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="optimizer or the scheduler cannot be read back from a checkpoint"):
        _open(tmp_path).save({"scheduler": Evil()}, 1)
    assert list(tmp_path.iterdir()) == []


def _weighted(outputs: Any, inputs: Any, labels: Any, weight: float) -> Any:
    return cross_entropy(outputs, inputs, labels) * weight


def test_the_fingerprint_is_of_weights_settings_and_losses() -> None:
    teacher = stack(seed=1)
    runs = [
        fingerprint(stack(), Settings(), cross_entropy, 4),
        fingerprint(stack(seed=1), Settings(), cross_entropy, 4),
        fingerprint(nn.Linear(2, 2), Settings(), cross_entropy, 4),
        fingerprint(stack(), Settings(seed=1), cross_entropy, 4),
        fingerprint(stack(), Settings(scheduler=cosine), cross_entropy, 4),
        fingerprint(stack(), Settings(), cross_entropy, 5),
        fingerprint(stack(), Settings(), partial(_weighted, weight=2), 4),
        fingerprint(stack(), Settings(), partial(_weighted, weight=3), 4),
        fingerprint(stack(), Settings(), DistillationLoss(teacher), 4),
        fingerprint(stack(), Settings(), DistillationLoss(teacher, alpha=0.6), 4),
        fingerprint(stack(), Settings(), DistillationLoss(stack()), 4),
    ]
    assert len(set(runs)) == len(runs)
    assert runs[0] == fingerprint(stack(), Settings(), cross_entropy, 4)
    assert runs[8] == fingerprint(stack(), Settings(), DistillationLoss(teacher), 4)
