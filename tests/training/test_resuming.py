"""A run that was killed, wherever that was, ends with the weights of one that was not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.errors import OutputError
from edgecompress.metrics.metric import named_measure
from edgecompress.training import Settings, Trained, TrainingStep, crop_and_flip, cross_entropy, train
from tests.conftest import ROOT
from tests.networks import ConvNet, seeded
from tests.training.batches import batches, same, shuffled, stack
from tests.training.test_loop import Noisy

SETTINGS = Settings(
    epochs=3,
    accumulation=2,
    augment=crop_and_flip,
    average_decay=0.8,
    checkpoint_steps=2,
    checkpoint_seconds=1e9,
)
STEPS = 9


class KilledError(Exception):
    """What ends a run from outside."""


def run(network: nn.Module, folder: Path | None, kill_at: int = 0, settings: Settings = SETTINGS) -> Trained:
    """Six batches an epoch in a random order, with dropout, augmentation and evaluation."""

    def on_step(step: TrainingStep) -> None:
        if step.number == kill_at:
            raise KilledError

    return train(
        network, shuffled(), settings, cross_entropy, evaluation=shuffled(), checkpoints=folder, on_step=on_step
    )


@pytest.fixture(scope="module")
def unbroken() -> Trained:
    return run(Noisy(), None)


def _alike(first: Trained, other: Trained) -> bool:
    told = [[(epoch.number, epoch.loss, epoch.score) for epoch in run.history] for run in (first, other)]
    return same(first.model, other.model) and told[0] == told[1] and first.best_epoch == other.best_epoch


@pytest.mark.parametrize("kill_at", range(1, STEPS + 1))
def test_a_killed_run_goes_on(kill_at: int, unbroken: Trained, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(Noisy(), tmp_path, kill_at)
    torch.rand(5)
    assert _alike(run(Noisy(), tmp_path), unbroken)


def test_a_run_killed_again_and_again_gets_there(unbroken: Trained, tmp_path: Path) -> None:
    for kill_at in (3, 5, 8):
        with pytest.raises(KilledError):
            run(Noisy(), tmp_path, kill_at)
    assert _alike(run(Noisy(), tmp_path), unbroken)


class Dying:
    """Evaluation data that are fine for one epoch."""

    measure = named_measure("top1")

    def __init__(self) -> None:
        self.reads = 0

    def __iter__(self) -> Iterator[Batch]:
        self.reads += 1
        if self.reads > 1:
            raise KilledError
        return iter(shuffled())

    def count(self) -> int:
        return 6


def test_killed_while_it_evaluates(unbroken: Trained, tmp_path: Path) -> None:
    often = replace(SETTINGS, checkpoint_steps=1)
    with pytest.raises(KilledError):
        train(Noisy(), shuffled(), often, cross_entropy, evaluation=Dying(), checkpoints=tmp_path)
    steps: list[TrainingStep] = []
    resumed = train(
        Noisy(),
        shuffled(),
        often,
        cross_entropy,
        evaluation=shuffled(),
        checkpoints=tmp_path,
        on_step=steps.append,
    )
    assert [step.number for step in steps] == [7, 8, 9]
    assert _alike(resumed, unbroken)


def test_a_finished_run_does_not_train_again(unbroken: Trained, tmp_path: Path) -> None:
    first = run(Noisy(), tmp_path)
    again = run(Noisy(), tmp_path, kill_at=1)
    assert _alike(again, first)
    assert _alike(again, unbroken)


def test_how_often_checkpoints_are_written_changes_nothing(unbroken: Trained, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(Noisy(), tmp_path, 4)
    often = replace(SETTINGS, checkpoint_steps=None, checkpoint_seconds=0.0)
    assert _alike(run(Noisy(), tmp_path, settings=often), unbroken)


def test_another_model_settings_or_data_are_refused(tmp_path: Path) -> None:
    settings = Settings(epochs=1)
    train(
        stack(),
        batches([(torch.rand(4, 32), torch.arange(4))], name="features"),
        settings,
        cross_entropy,
        checkpoints=tmp_path,
    )
    data = [(torch.rand(4, 32), torch.arange(4))]
    for network, rows, other in (
        (stack(seed=1), data, settings),
        (stack(), data * 2, settings),
        (stack(), data, Settings(epochs=2)),
    ):
        with pytest.raises(OutputError, match="is from another run"):
            train(network, batches(rows, name="features"), other, cross_entropy, checkpoints=tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from edgecompress.training import TrainingStep
from tests.training import test_resuming as here

torch.set_num_threads(1)  # as the tests do: another number of threads adds up in another order

def kill(step):
    if step.number == 6:
        os.kill(os.getpid(), signal.SIGKILL)

here.train(here.seeded(here.ConvNet), here.shuffled(), here.SETTINGS, here.cross_entropy,
           checkpoints=Path(sys.argv[1]), on_step=kill)
"""


def test_killed_by_a_signal_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    steps: list[TrainingStep] = []
    arguments = (seeded(ConvNet), shuffled(), SETTINGS, cross_entropy)
    resumed = train(*arguments, checkpoints=tmp_path, on_step=steps.append)
    assert [step.number for step in steps] == [6, 7, 8, 9]
    assert _alike(resumed, train(*arguments))
