"""Quantization-aware training compared with rounding, after as many epochs of training in all.

    python -m benchmarks.qat [--networks resnet20 ...] [--seeds 3] [--output FILE]

A seed orders the training data. All runs place operators by the table and return no layer to float, so that nothing
but training differs. Top-1, or mAP, is that of the INT8 file in exact arithmetic. The example is found
through EDGECOMPRESS_EXAMPLE.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from benchmarks.main_job import EXAMPLE, ROOT
from edgecompress import compress
from edgecompress.loading.models import load_model

CIFAR_ROWS = 24000
"""Training images of CIFAR-10 in the example, as far as every eighth of them counts."""
ALIKE = {"quantization.placement": "table", "quantization.fallback_evaluations": 0, "cpu.runs": 10}
ALIKE |= {"report.examples": 0, "budgets.max_accuracy_drop": None, "budgets.min_speedup": None}
ALIKE |= {"budgets.min_compression_ratio": None}
ROUNDED: dict[str, Any] = {"quantization.training": "never"}
SLOW, FAST = 0.01, 0.2
FLOATING = ("pruned_accuracy_percent", "student_accuracy_percent")
"""What a manifest says of the network that became INT8, where that is another than the original."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """What differs between the runs of a network; one that reads no training data has a single outcome."""

    title: str
    overrides: Mapping[str, Any]
    trains: bool = True


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network of the example, and the ways it becomes INT8; the first one is what others are held against.

    ``network`` is its name in ``model``, where that is not the key of the case. One that has a ``teacher`` is
    untrained, and learns from that. ``every`` is how few of the images it is trained on.
    """

    title: str
    target: str
    data: str
    model: str = "models.py"
    network: str | None = None
    teacher: str | None = None
    every: int = 8
    metric: str | None = None
    loss: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    ways: tuple[Way, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Top-1 or mAP of the INT8 file and of the float network that it was made of, in percent; and seconds."""

    way: str
    seed: int
    accuracy: float
    floating: float
    seconds: float


def _aware(epochs: int, rate: float) -> dict[str, Any]:
    keys = {"training": "always", "training_epochs": epochs, "training_rate": rate}
    return {f"quantization.{key}": value for key, value in keys.items()}


def _ways(epochs: int, aware: int) -> tuple[Way, ...]:
    """All epochs in float; or the last ones with the integers in place, at two rates."""
    left = {"training.epochs": epochs - aware}
    slow, fast = (f"{epochs - aware} epochs, {aware} with integers, rate {rate}" for rate in (SLOW, FAST))
    return (
        Way(title=f"{epochs} epochs, then rounded", overrides={"training.epochs": epochs, **ROUNDED}),
        Way(title=slow, overrides={**left, **_aware(aware, SLOW)}),
        Way(title=fast, overrides={**left, **_aware(aware, FAST)}),
    )


EQUALIZED = {"quantization.granularity": "per_tensor", "quantization.equalization": True, "distillation.alpha": 0.9}
ROUNDED_OR_TRAINED = (
    Way(title="rounded", overrides=ROUNDED, trains=False),
    Way(title=f"4 epochs with integers, rate {SLOW}", overrides=_aware(4, SLOW)),
)
CASES = {
    "mobilenet_v1": Case(
        title="MobileNetV1, weights per tensor",
        target="mobile",
        data="imagenet",
        overrides=EQUALIZED,
        ways=ROUNDED_OR_TRAINED,
    ),
    "detector": Case(
        title="FastestDet, weights per tensor",
        target="edge",
        data="coco",
        model="detection.py",
        metric=f"{EXAMPLE}/detection.py:mean_average_precision",
        loss=f"{ROOT}/tests/detection_loss.py:detector_loss",
        overrides={
            "pruning.enabled": False,
            "quantization.granularity": "per_tensor",
            "evaluation.unit": "%",
            "evaluation.higher_is_better": True,
        },
        ways=ROUNDED_OR_TRAINED,
    ),
    "resnet20": Case(
        title="ResNet-20, half the MACs",
        target="edge",
        data="cifar10",
        overrides={"training.augmentation": "flip"},
        ways=_ways(5, 2),
    ),
    "mobilenet_v1_4_bits": Case(
        title="MobileNetV1, weights per tensor, 4 bits in two layers",
        target="mobile",
        data="imagenet",
        network="mobilenet_v1",
        overrides={**EQUALIZED, "quantization.weight_bits": {"features.3.1": 4, "features.12.0": 4}},
        ways=ROUNDED_OR_TRAINED,
    ),
    "resnet8": Case(
        title="ResNet-8, a student of ResNet-20",
        target="edge",
        data="cifar10",
        teacher="resnet20",
        every=4,
        overrides={
            "pruning.enabled": False,
            "distillation.enabled": True,
            "training.learning_rate": 0.1,
            "training.augmentation": "flip",
        },
        ways=_ways(8, 2),
    ),
}


def runs(name: str, seeds: Sequence[int]) -> list[Run]:
    """Each seed one way after the other."""
    found = []
    for seed in seeds:
        for way in CASES[name].ways:
            if way.trains or seed == seeds[0]:
                found.append(_run(name, way, seed))
                print(f"{name}, {found[-1]}", file=sys.stderr, flush=True)
    return found


def _run(name: str, way: Way, seed: int) -> Run:
    case, start = CASES[name], time.perf_counter()
    name = case.network or name
    model: Any = _trained(case, case.teacher or name)
    teacher: Any = None
    if case.teacher is not None:
        torch.manual_seed(seed)
        model, teacher = load_model(f"{EXAMPLE}/{case.model}:{name}", None), model
    calibration, evaluation, train = _data(case)
    with tempfile.TemporaryDirectory() as folder:
        bundle = compress(
            model,
            case.target,
            calibration=calibration,
            evaluation=evaluation,
            train=train,
            teacher=teacher,
            metric=case.metric,
            loss=case.loss,
            overrides={**ALIKE, **case.overrides, **way.overrides, "seed": seed},
            output=Path(folder) / "bundle",
        )
    metric, seconds = bundle.manifest.metrics["metric"], time.perf_counter() - start
    smaller = [value for key, value in bundle.manifest.data.items() if key in FLOATING]
    floating = smaller[0] if smaller else metric["original"]
    return Run(way=way.title, seed=seed, accuracy=metric["compressed"], floating=floating, seconds=seconds)


def _trained(case: Case, name: str) -> Any:
    return load_model(f"{EXAMPLE}/{case.model}:{name}", f"{EXAMPLE}/weights/{name}.safetensors")


def _data(case: Case) -> tuple[Any, ...]:
    """Calibration, evaluation and training data."""
    if case.data == "coco":
        return tuple(f"{EXAMPLE}/detection.py:{role}" for role in ("calibration", "validation", "training"))
    sys.path.insert(0, str(EXAMPLE))
    import data  # type: ignore[import-not-found]

    if case.data == "imagenet":
        images = data.imagenet_calibration().dataset
        shuffled = DataLoader(images, batch_size=16, shuffle=True)
        return data.imagenet_calibration, data.imagenet_validation, lambda: shuffled
    rows = range(0, CIFAR_ROWS, case.every)
    some = DataLoader(Subset(data.Cifar10("tr"), rows), batch_size=64, shuffle=True)
    return data.cifar10_calibration, data.cifar10_test, lambda: some


def table(name: str, found: Sequence[Run]) -> str:
    """Each way, and the points that it gains on the first, seed by seed, as Markdown."""
    case = CASES[name]
    first = {run.seed: run.accuracy for run in found if run.way == case.ways[0].title}
    lines = [
        f"| {case.title} | float before | INT8, each seed | gain, each seed | gain, mean | standard deviation |",
        "| --- | ---: | --- | --- | ---: | ---: |",
    ]
    for way in case.ways:
        own = [run for run in found if run.way == way.title]
        gains = [run.accuracy - first.get(run.seed, next(iter(first.values()))) for run in own]
        compared = way is not case.ways[0]
        cells = [
            way.title,
            f"{mean(run.floating for run in own):.2f} %",
            ", ".join(f"{run.accuracy:.2f}" for run in own),
            ", ".join(f"{gain:+.2f}" for gain in gains) if compared else "",
            f"{mean(gains):+.2f} points" if compared else "",
            f"{stdev(gains):.2f}" if compared and len(gains) > 1 else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    tables = [table(name, runs(name, range(asked.seeds))) for name in asked.networks]
    print(text := "\n\n".join(tables))
    if asked.output is not None:
        asked.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
