"""Two processes take the steps of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.training import Settings, Trained, cross_entropy, train
from tests.conftest import ROOT
from tests.training.batches import batches, learnable, stack

SCRIPT = """
import sys
from pathlib import Path
import torch
from accelerate import PartialState
from tests.training.test_processes import trained

result = trained(checkpoints=Path(sys.argv[1]))
torch.save((result.model.state_dict(), [(e.loss, e.score.accuracy) for e in result.history]), sys.argv[2])
PartialState().wait_for_everyone()
PartialState().destroy_process_group()
"""


def trained(checkpoints: Path | None = None) -> Trained:
    """Batches of an odd number of rows, the last one of a single row, two of them to a step."""
    data = learnable(rows=15, count=5)
    data.append((data[0][0][:1], data[0][1][:1]))
    (whole,) = learnable(seed=1, rows=40, count=1)
    evaluation = batches(DataLoader(TensorDataset(*whole), batch_size=7, shuffle=True), "evaluation", "features")
    settings = Settings(epochs=3, accumulation=2, max_gradient_norm=1.0)
    return train(
        stack(), batches(data, name="features"), settings, cross_entropy, evaluation=evaluation, checkpoints=checkpoints
    )


def _start(rank: int, port: int, folder: Path) -> subprocess.Popen[str]:
    """As ``accelerate launch --cpu --num_processes 2`` starts them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ACCELERATE_USE_CPU": "true",
        "WORLD_SIZE": "2",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", SCRIPT, str(folder / "checkpoints"), str(folder / f"{rank}.pt")]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_two_processes_train_the_network_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [_start(rank, port, tmp_path) for rank in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    alone = trained()
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=0)
        assert torch.equal(first[0][name], second[0][name])
    for epoch, (loss, accuracy) in zip(alone.history, first[1], strict=True):
        assert abs(epoch.loss - loss) < 1e-4
        assert epoch.score is not None
        assert epoch.score.accuracy == accuracy
    assert first[1] == second[1]
