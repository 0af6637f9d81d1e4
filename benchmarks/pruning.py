"""Structured pruning compared with Torch-Pruning: what each handles, how fast the result is, and how long it takes.

    python -m benchmarks.pruning [--runs 40] [--output docs/benchmarks-pruning.md]

All figures of a network come from one process; latencies are interleaved, one thread, medians. Both sides are exported
and quantized by edgecompress, so that nothing but the choice of channels differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.artifacts import float_file, int8_file
from benchmarks.networks import NETWORKS, images
from benchmarks.sections import write_page
from edgecompress import ModelPruner
from edgecompress.pruning.channels.selection import Goal, Spread
from edgecompress.timing.latency import interleave_sessions
from edgecompress.timing.ratios import ratio_of

GOALS: dict[str, tuple[Goal, float]] = {
    "resnet50": ("parameters", 0.5),
    "mobilenet_v2": ("macs", 0.5),
    "vit_tiny": ("macs", 0.5),
}
"""What is halved for each network."""
BISECTIONS = 7


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A pruned network and the seconds that it took; ``fault`` where it did not come about."""

    name: str
    model: nn.Module | None
    seconds: float
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A candidate compared with the float original: shares left, and median ratios with their 95 % interval."""

    name: str
    macs_left: float
    parameters_left: float
    speedup: tuple[float, float, float]
    int8_speedup: tuple[float, float, float]
    int8_smaller: float
    seconds: float

    @property
    def return_on_macs(self) -> float:
        """Speedup for each factor by which the multiply-accumulates fell."""
        return self.speedup[0] * self.macs_left


def candidates(name: str, network: nn.Module, example: Tensor) -> list[Candidate]:
    """The network pruned in several ways to the same goal."""
    goal, share = GOALS[name]
    ways: dict[str, Callable[[], nn.Module]] = {
        "edgecompress": partial(_ours, network, example, goal, share, "uniform"),
        "edgecompress, spread by latency": partial(_ours, network, example, goal, share, "latency"),
        "Torch-Pruning": partial(_torch_pruning, network, example, goal, share, None),
        "Torch-Pruning, round_to=16": partial(_torch_pruning, network, example, goal, share, 16),
    }
    found = []
    for way, run in ways.items():
        start = time.perf_counter()
        try:
            model, fault = run(), ""
        except Exception as error:
            model, fault = None, f"{type(error).__name__}: {error}".splitlines()[0]
        found.append(Candidate(name=way, model=model, seconds=time.perf_counter() - start, fault=fault))
    return found


def compare(network: nn.Module, pruned: Sequence[Candidate], runs: int) -> list[Row]:
    """Measure the candidates that came about, as float and as INT8, all in turn in one run."""
    made = [(each, each.model) for each in pruned if each.model is not None]
    calibration = [images(4, 0)]
    whole = float_file(network, calibration)
    files = [make(model, calibration) for _, model in made for make in (float_file, int8_file)]
    sample = {"image": images(1, 1).numpy()}
    times = interleave_sessions([whole, *files], sample, runs=runs, threads=1)
    rows = []
    for index, (each, model) in enumerate(made):
        ratios = [_ratio(times[:, 0], times[:, 1 + 2 * index + integers]) for integers in (0, 1)]
        rows.append(
            Row(
                name=each.name,
                macs_left=_macs(model) / _macs(network),
                parameters_left=_parameters(model) / _parameters(network),
                speedup=ratios[0],
                int8_speedup=ratios[1],
                int8_smaller=len(whole) / len(files[2 * index + 1]),
                seconds=each.seconds,
            )
        )
    return rows


def table(name: str, rows: Sequence[Row], faults: Mapping[str, str]) -> str:
    """The rows of a network as Markdown."""
    goal, share = GOALS[name]
    lines = [
        f"### {name}: {share:.0%} of the {goal} removed",
        "",
        "| | MACs left | parameters left | float speedup | speedup x MACs left | INT8 speedup | INT8 file | pruning |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        float_, int8 = (f"{mid:.2f}x ({low:.2f}-{high:.2f})" for mid, low, high in (row.speedup, row.int8_speedup))
        lines.append(
            f"| {row.name} | {row.macs_left:.1%} | {row.parameters_left:.1%} | {float_} | {row.return_on_macs:.2f}"
            f" | {int8} | {row.int8_smaller:.2f}x smaller | {row.seconds:.1f} s |"
        )
    lines += [f"| {way} | {fault} | | | | | | |" for way, fault in faults.items()]
    return "\n".join(lines)


def _ours(network: nn.Module, example: Tensor, goal: Goal, share: float, spread: Spread) -> nn.Module:
    pruner = ModelPruner(network, example)
    pruner.structured_pruning(amount=share, goal=goal, spread=spread, multiple=16)
    return pruner.model


def _torch_pruning(network: nn.Module, example: Tensor, goal: str, share: float, round_to: int | None) -> nn.Module:
    """Its defaults, with the least ratio that meets the goal, found by bisection as its users do by hand."""
    count = _macs if goal == "macs" else _parameters
    low, high, found = 0.0, 0.9, None
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        pruned = _torch_pruning_at(network, example, middle, round_to)
        if count(pruned) <= (1 - share) * count(network):
            found, high = pruned, middle
        else:
            low = middle
    if found is None:
        raise RuntimeError("no ratio meets the goal")
    return found


def _torch_pruning_at(network: nn.Module, example: Tensor, ratio: float, round_to: int | None) -> nn.Module:
    import copy

    import torch_pruning

    pruned = copy.deepcopy(network)
    last = [part for part in pruned.modules() if isinstance(part, nn.Linear)][-1]
    pruner = torch_pruning.pruner.MagnitudePruner(
        pruned,
        example,
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=ratio,
        ignored_layers=[last],
        round_to=round_to,
    )
    pruner.step()
    with torch.no_grad():
        pruned(example)
    return pruned


def _ratio(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float, float]:
    found = ratio_of(first, second)
    return found.value, found.low, found.high


def _macs(network: nn.Module) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images(1, 0))
    return int(counter.get_total_flops()) // 2


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _section(name: str, runs: int) -> str:
    network = NETWORKS[name]()
    pruned = candidates(name, network, images(1, 0))
    faults = {each.name: each.fault for each in pruned if each.model is None}
    return table(name, compare(network, pruned, runs), faults)


if __name__ == "__main__":
    write_page(__doc__, list(GOALS), _section)
