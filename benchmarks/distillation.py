"""A student that is taught, compared with the same student on labels only: ResNet-8, taught by ResNet-20, on CIFAR-10.

    python -m benchmarks.distillation [--epochs 5] [--seeds 3] [--output docs/benchmarks-distillation.md]

Both start from the same weights and take the same steps on the same batches; nothing but the loss differs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.main_job import EXAMPLE
from benchmarks.teacher_outputs import images
from edgecompress import Distiller
from edgecompress.loading.models import load_model
from edgecompress.training import crop_and_flip

LEARNING_RATE = 0.1
AVERAGE_DECAY = 0.99
WAYS = {"labels alone": 0.0, "taught, alpha 0.9": 0.9}
"""The weight of the teacher's outputs."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of one way: top-1 in percent on the test images, and the seconds that it took."""

    way: str
    seed: int
    accuracy: float
    seconds: float


def runs(epochs: int, seeds: int) -> list[Run]:
    """Each seed one way after the other, so that a machine that gets slower does so for both."""
    train, test = images("tr"), images("te")
    teacher: Any = load_model(f"{EXAMPLE}/models.py:resnet20", f"{EXAMPLE}/weights/resnet20.safetensors")
    found = []
    for seed in range(seeds):
        for way, alpha in WAYS.items():
            torch.manual_seed(seed)
            student: Any = load_model(f"{EXAMPLE}/models.py:resnet8")
            found.append(_run(way, seed, alpha, epochs, teacher, student, train, test))
            print(f"{way}, seed {seed}: {found[-1].accuracy:.2f} %, {found[-1].seconds:.0f} s", flush=True)
    return found


def table(found: Sequence[Run], epochs: int) -> str:
    """Mean and spread of each way as Markdown."""
    lines = [
        f"| ResNet-8, {epochs} epochs | top-1, mean | standard deviation | each seed | seconds a run |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    for way in WAYS:
        scores = [run.accuracy for run in found if run.way == way]
        spread = f"{stdev(scores):.2f}" if len(scores) > 1 else ""
        seconds = mean(run.seconds for run in found if run.way == way)
        each = ", ".join(f"{score:.2f}" for score in scores)
        lines.append(f"| {way} | {mean(scores):.2f} % | {spread} | {each} | {seconds:.0f} |")
    return "\n".join(lines)


def _run(
    way: str,
    seed: int,
    alpha: float,
    epochs: int,
    teacher: nn.Module,
    student: nn.Module,
    train: TensorDataset,
    test: TensorDataset,
) -> Run:
    distiller = Distiller(teacher, student, alpha=alpha, seed=seed)
    start = time.perf_counter()
    distiller.train_student(
        DataLoader(train, batch_size=128, shuffle=True),
        epochs=epochs,
        learning_rate=LEARNING_RATE,
        average_decay=AVERAGE_DECAY,
        augment=crop_and_flip,
    )
    seconds = time.perf_counter() - start
    accuracy = distiller.evaluate(DataLoader(test, batch_size=250)).accuracy
    assert accuracy is not None
    return Run(way=way, seed=seed, accuracy=accuracy, seconds=seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    text = table(runs(asked.epochs, asked.seeds), asked.epochs)
    print(text)
    if asked.output is not None:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
