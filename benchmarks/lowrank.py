"""Low rank without any training after it: what half of the parameters costs, and what a latency goal leaves whole.

    python -m benchmarks.lowrank [--runs 40] [--output FILE]

The latencies of a network are interleaved in one run, one thread, one sample, medians. The perceptron is trained here
on scikit-learn's digits; ViT-tiny has seeded random weights, whose singular values hardly fall, and is judged by the
error of its outputs alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.artifacts import float_file, int8_file
from benchmarks.networks import images, vit_tiny
from benchmarks.sections import write_page
from edgecompress import LowRankDecomposition
from edgecompress.cli.demo_network import load_digits
from edgecompress.low_rank.calls import observe
from edgecompress.low_rank.latency import time_layer
from edgecompress.low_rank.layers import find_layers
from edgecompress.low_rank.options import candidate
from edgecompress.runtime import open_session
from edgecompress.step import StepResult
from edgecompress.timing.clock import OwnClock
from edgecompress.timing.latency import interleave_sessions
from edgecompress.timing.ratios import Ratio, ratio_of

EPOCHS = 40
YES = ("no", "yes")
WAYS: dict[str, Mapping[str, Any]] = {
    "half the parameters": {"goal": "parameters", "amount": 0.5},
    "half the parameters, whitened": {"goal": "parameters", "amount": 0.5, "calibration": True},
    "three quarters": {"goal": "parameters", "amount": 0.75},
    "three quarters, whitened": {"goal": "parameters", "amount": 0.75, "calibration": True},
    "a third of the latency, whitened": {"goal": "latency", "amount": 1 / 3, "calibration": True},
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network, batches to weigh errors by, and what it is judged on; labels where there are some."""

    network: nn.Module
    calibration: list[Tensor]
    judged: Tensor
    labels: Tensor | None = None

    @property
    def sample(self) -> Tensor:
        """What is timed."""
        return self.judged[:1]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A way compared with the original: shares left, median ratios with their 95 % interval, the outputs' error."""

    name: str
    result: StepResult[nn.Module]
    speedup: Ratio
    int8_smaller: float
    int8_speedup: float
    error: float
    drop: float | None
    seconds: float

    def __str__(self) -> str:
        parameters, macs = self._left("parameters"), self._left("macs")
        ratio = self.speedup
        cells = [
            self.name,
            f"{parameters:.1%}",
            f"{macs:.1%}",
            f"{ratio.value:.2f}x ({ratio.low:.2f}-{ratio.high:.2f})",
            f"{ratio.value * macs:.2f}",
            f"{self.int8_smaller:.2f}x smaller",
            f"{self.int8_speedup:.2f}x",
            f"{self.error:.1e}",
            "" if self.drop is None else f"{self.drop:+.1f}",
            f"{self.seconds:.0f} s",
        ]
        return f"| {' | '.join(cells)} |"

    def _left(self, what: str) -> float:
        return float(self.result.metrics[f"factorized_{what}"]) / float(self.result.metrics[f"original_{what}"])


def perceptron() -> Subject:
    """64-1024-1024-10, trained on two thirds of the digits."""
    pixels, labels = load_digits()
    features = nn.functional.interpolate(pixels, size=(8, 8), mode="area").flatten(1)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    train, test = order[:1200], order[1200:]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.split(train[torch.randperm(len(train))], 64):
            loss = nn.functional.cross_entropy(network(features[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    calibration = list(torch.split(features[train[:512]], 64))
    return Subject(network=network.eval(), calibration=calibration, judged=features[test], labels=labels[test])


def transformer() -> Subject:
    """ViT-tiny on random images."""
    return Subject(network=vit_tiny(), calibration=list(torch.split(images(16, 2), 4)), judged=images(8, 3))


SUBJECTS: dict[str, Callable[[], Subject]] = {"perceptron": perceptron, "vit_tiny": transformer}


def compare(subject: Subject, runs: int) -> list[Row]:
    """Every way, all timed in turn in one run."""
    results, seconds = [], []
    for settings in WAYS.values():
        data = {"calibration": subject.calibration} if "calibration" in settings else {}
        start = time.perf_counter()
        results.append(
            LowRankDecomposition.apply_to_model(subject.network, example_inputs=subject.sample, **{**settings, **data})
        )
        seconds.append(time.perf_counter() - start)
    networks = [subject.network, *(result.model for result in results)]
    files = [make(network, subject.calibration) for network in networks for make in (float_file, int8_file)]
    name = open_session(files[0], 1).get_inputs()[0].name
    times = interleave_sessions(files, {name: subject.sample.numpy()}, runs=runs, threads=1)
    medians = np.median(times, axis=0)
    return [
        Row(
            name=way,
            result=result,
            speedup=ratio_of(times[:, 0], times[:, 2 * index]),
            int8_smaller=len(files[0]) / len(files[2 * index + 1]),
            int8_speedup=medians[0] / medians[2 * index + 1],
            error=_error(subject, result.model),
            drop=_accuracy_drop(subject, result.model),
            seconds=taken,
        )
        for index, (way, result, taken) in enumerate(zip(WAYS, results, seconds, strict=True), 1)
    ]


def layer_table(subject: Subject) -> list[str]:
    """Every shape of layer, on its own, at several ranks: MACs left, and its latency and that of its parts."""
    layers, _ = find_layers(subject.network)
    calls = observe(subject.network, layers, subject.sample).calls
    lines: dict[str, list[str]] = {}
    for name, shapes in calls.items():
        made = candidate(name, layers[name], shapes)
        if f"{made}" in lines:
            continue
        timing = time_layer(made, made.options(16), OwnClock(threads=1))
        lines[f"{made}"] = [
            f"| {made} | {option} | {option.macs / made.macs:.0%} | {timing.layer_ms / ms:.2f}x | {YES[fast]} |"
            for option, ms, fast in timing.options
        ]
    return [line for group in lines.values() for line in group]


def report(name: str, subject: Subject, rows: Sequence[Row]) -> str:
    """The rows of a network as Markdown, and what the latency goal left whole."""
    whole = [f"`{refusal.name}`: {refusal.reason}" for refusal in rows[-1].result.refusals]
    return "\n".join(
        [
            f"### {name}",
            "",
            "| | parameters left | MACs left | float speedup | speedup x MACs left | INT8 file | INT8 speedup"
            " | outputs' error | points lost | time |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *map(str, rows),
            "",
            "Left whole by the latency goal: " + ("; ".join(whole[:6]) or "nothing") + ".",
            "",
            "| layer | parts | MACs left | speedup alone | faster at 95 % |",
            "| --- | --- | ---: | ---: | --- |",
            *layer_table(subject),
        ]
    )


def _error(subject: Subject, network: nn.Module) -> float:
    """Squared error of the outputs as a share of their energy."""
    with torch.no_grad():
        expected, found = subject.network(subject.judged), network(subject.judged)
    return float((found - expected).square().sum() / expected.square().sum())


def _accuracy_drop(subject: Subject, network: nn.Module) -> float | None:
    if subject.labels is None:
        return None
    with torch.no_grad():
        right = [(each(subject.judged).argmax(1) == subject.labels).sum() for each in (subject.network, network)]
    return 100 * float(right[0] - right[1]) / len(subject.labels)


def _section(name: str, runs: int) -> str:
    subject = SUBJECTS[name]()
    return report(name, subject, compare(subject, runs))


if __name__ == "__main__":
    write_page(__doc__, list(SUBJECTS), _section)
