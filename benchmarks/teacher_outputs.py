"""What a cache of teacher outputs saves: python -m benchmarks.teacher_outputs

The example is found through EDGECOMPRESS_EXAMPLE. Trains its ResNet-8 on ResNet-20 with the teacher run in every
epoch, with a new cache, and with one that an earlier run has filled; interleaved, medians. Prints seconds of CPU, and
whether the weights are the same to the bit.
"""

from __future__ import annotations

import copy
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.main_job import EXAMPLE
from edgecompress import Distiller
from edgecompress.loading.models import load_model

ROWS, BATCH, EPOCHS, ROUNDS = 512, 64, 4, 3


def images(split: str, rows: int | None = None) -> TensorDataset:
    """The first rows of the CIFAR-10 of the example, or all of them, in memory."""
    sys.path.insert(0, str(EXAMPLE))
    from data import Cifar10  # type: ignore[import-not-found]

    files = Cifar10(split)
    pixels, labels = zip(*(files[index] for index in range(rows or len(files))), strict=True)
    return TensorDataset(torch.stack(pixels), torch.tensor(labels))


def train(teacher: nn.Module, student: nn.Module, data: Any, cache: Path | None) -> tuple[float, nn.Module]:
    """Seconds of CPU, which a busy machine stretches less than those of the clock; and the student."""
    learner = copy.deepcopy(student)
    start = time.process_time()
    Distiller(teacher, learner, cache=cache).train_student(data, epochs=EPOCHS)
    return time.process_time() - start, learner


def main() -> None:
    """Three ways, a few rounds of each."""
    teacher: Any = load_model(f"{EXAMPLE}/models.py:resnet20", f"{EXAMPLE}/weights/resnet20.safetensors")
    student: Any = load_model(f"{EXAMPLE}/models.py:resnet8", None)
    data = DataLoader(images("tr", ROWS), batch_size=BATCH, shuffle=True)
    seconds: dict[str, list[float]] = {"no cache": [], "new cache": [], "filled cache": []}
    weights = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            for name, cache in zip(seconds, (None, Path(folder), Path(folder)), strict=True):
                took, learner = train(teacher, student, data, cache)
                seconds[name].append(took)
                weights.append(torch.cat([value.detach().flatten() for value in learner.parameters()]))
            (file,) = Path(folder).glob("*.sqlite")
            size = file.stat().st_size
    for name, each in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds["no cache"], each, strict=True))
        print(f"{name}: {statistics.median(each):.1f} s, {ratio:.2f}x")
    print(
        f"{size / ROWS:.0f} bytes a sample; same weights: {all(torch.equal(weight, weights[0]) for weight in weights)}"
    )


if __name__ == "__main__":
    main()
