"""Two processes take the steps of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.quantization.aware.fake_quantized import FakeQuantized
from edgecompress.quantization.aware.integer_layer import IntegerLayer
from edgecompress.training import (
    AttentionTransfer,
    Hint,
    Settings,
    Taught,
    Trained,
    cross_entropy,
    teach,
    train,
)
from tests.conftest import ROOT
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of
from tests.training.batches import batches, learnable, stack

PADS = "pads=[1,1,1,1]"
CONVOLUTIONS = graph(
    f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}>(r, v)",
    w=draw(6, 4, 3, 3),
    v=draw(3, 6, 3, 3, seed=1),
    b=draw(6),
)
LABELLED = [(draw(8, 4, 8, 8, seed=seed), np.arange(8) % 3) for seed in range(4)]
SCRIPT = """
import sys
from pathlib import Path
import torch
from accelerate import PartialState
from tests.training.test_distributed import quantized, taught, trained

result = trained(checkpoints=Path(sys.argv[1]))
history = [(e.loss, e.score.accuracy) for e in result.history]
students = taught().model.state_dict(), quantized()
torch.save((result.model.state_dict(), history, *students), sys.argv[2])
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


def taught() -> Trained:
    """A student without batch norm, since on CPUs each process would normalize its own rows."""
    student = stack(seed=2)
    settings = Settings(epochs=3, optimizer=Adam(student.parameters(), lr=1e-2))
    hints = [Hint("layers.1", "layers.3"), AttentionTransfer("tokens")]
    return teach(
        Tokens(student),
        Tokens(stack()),
        batches(learnable(rows=16, count=4), name="features"),
        settings,
        Taught(),
        features=hints,
    )


def quantized() -> list[Tensor]:
    """The weights, steps and biases of a network that learned with the integers of its file in place."""
    lowering = lowering_of(CONVOLUTIONS, *(image for image, _ in LABELLED), integer_entry=True)
    network = FakeQuantized(lowering, lambda outputs: outputs[0].mean((2, 3)))
    settings = Settings(epochs=3, learning_rate=0.1, optimizer=AdamW)
    model = train(network, batches(LABELLED, name="x"), settings, cross_entropy).model
    assert isinstance(model, FakeQuantized)
    steps = model.source_steps()
    layers = [layer for layer in model.layers if isinstance(layer, IntegerLayer)]
    learned = [layer.learned(step) for layer, step in zip(layers, steps, strict=True)]
    found = [array for each in learned for array in (each.weight, each.params.scale, each.bias) if array is not None]
    return [*steps, *map(torch.from_numpy, found)]


class Tokens(nn.Module):
    """The scores, with a layer that sees them as ten tokens."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.layers, self.tokens = module.get_submodule("layers"), nn.Unflatten(1, (10, 1))

    def forward(self, features: Tensor) -> Tensor:
        return self.tokens(self.layers(features)).flatten(1)  # type: ignore[no-any-return]


def _start(rank: int, port: int, folder: Path) -> subprocess.Popen[str]:
    """As ``torchrun --nproc-per-node 2`` starts them; ``accelerate launch --cpu`` starts several through MPI alone."""
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


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What each of two processes came to."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [_start(rank, port, folder) for rank in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], errors
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2))
    return first, second


def test_two_processes_teach_the_student_of_one_with_a_batch_twice_as_large(two: tuple[Any, Any]) -> None:
    """Each takes its half of every batch."""
    for name, value in taught().model.state_dict().items():
        torch.testing.assert_close(two[0][2][name], value, atol=1e-4, rtol=0)
        assert torch.equal(two[0][2][name], two[1][2][name])


def test_two_processes_train_the_integers_of_one(two: tuple[Any, Any]) -> None:
    for alone, first, second in zip(quantized(), two[0][3], two[1][3], strict=True):
        torch.testing.assert_close(first, alone, atol=1e-4, rtol=0)
        assert torch.equal(first, second)


def test_two_processes_train_the_network_of_one(two: tuple[Any, Any]) -> None:
    first, second = two
    alone = trained()
    for name, value in alone.model.state_dict().items():
        torch.testing.assert_close(first[0][name], value, atol=1e-4, rtol=0)
        assert torch.equal(first[0][name], second[0][name])
    for epoch, (loss, accuracy) in zip(alone.history, first[1], strict=True):
        assert abs(epoch.loss - loss) < 1e-4
        assert epoch.score is not None
        assert epoch.score.accuracy == accuracy
    assert first[1] == second[1]
