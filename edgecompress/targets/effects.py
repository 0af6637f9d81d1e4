"""Effects: what each strategy did to networks that were measured, and what it will therefore do to another one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Technique
from edgecompress.targets.profile import TargetProfile

MARGIN = 0.95
"""The share of its latency budget that a derived student is cut for (``techniques/student.py``)."""
SIZE_ERROR, LATENCY_ERROR = 0.37, 0.26
"""By how much a prediction was off at most, as a share of the measurement, where each of the networks below but the
largest was predicted from the others."""
INT8, PRUNING = "docs/benchmarks-int8.md", "docs/benchmarks-pruning.md"
README, TARGETS, EACH = "README.md", "docs/targets.md", "docs/benchmarks-targets.md"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A network that was measured: megabytes of its float file, and what became of it (one thread)."""

    network: str
    float_mb: float
    smaller: float
    faster: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a strategy does; ``accuracy_drop`` is what to expect, in points of top-1."""

    accuracy_drop: float
    references: tuple[Reference, ...]


def _row(network: str, float_mb: float, smaller: float, faster: float, source: str) -> Reference:
    return Reference(network=network, float_mb=float_mb, smaller=smaller, faster=faster, source=source)


EFFECTS: Mapping[tuple[Technique, ...], Effect] = {
    ("quantization",): Effect(
        accuracy_drop=0.3,
        references=(
            _row("ResNet-20", 1.09, 3.52, 1.84, INT8),
            _row("MobileNetV1 0.75", 10.33, 3.88, 2.48, README),
            _row("MobileNetV2", 13.93, 3.64, 2.01, INT8),
            _row("ViT-tiny", 22.91, 3.79, 2.18, INT8),
            _row("ResNet-50", 102.07, 3.93, 3.21, INT8),
        ),
    ),
    ("pruning", "quantization"): Effect(
        accuracy_drop=2.0,
        references=(
            _row("ResNet-20", 1.09, 5.69, 2.36, EACH),
            _row("MobileNetV1 0.75", 10.33, 4.76, 3.20, TARGETS),
            _row("MobileNetV2", 13.93, 7.47, 3.31, PRUNING),
            _row("ViT-tiny", 22.91, 6.71, 4.30, PRUNING),
            _row("ResNet-50", 102.07, 7.88, 6.74, PRUNING),
        ),
    ),
    ("pruning",): Effect(
        accuracy_drop=0.8,
        references=(
            _row("ResNet-20", 1.09, 1.66, 1.56, TARGETS),
            _row("MobileNetV1 0.75", 10.33, 1.26, 1.75, TARGETS),
            _row("MobileNetV2", 13.93, 2.02, 1.95, PRUNING),
            _row("ViT-tiny", 22.91, 1.828, 1.91, PRUNING),
            _row("ResNet-50", 102.07, 2.00, 2.27, PRUNING),
        ),
    ),
    ("distillation",): Effect(
        accuracy_drop=0.6,
        references=(
            _row("ResNet-20", 1.09, 1.51, 2.22, TARGETS),
            _row("MobileNetV1 0.75", 10.33, 1.66, 2.18, TARGETS),
        ),
    ),
}
"""By strategy. The drops of pruning and distillation are those that the table of techniques is held against."""


@dataclass(frozen=True, kw_only=True)
class MeasuredFloat:
    """The float ONNX file of a model: megabytes (10^6 bytes), and milliseconds for one sample, median.

    ``latency_ms`` is that on the CPU that is asked for, and None where nobody measured it there.
    """

    size_mb: float
    latency_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a profile will make of a model: size, speedup, and latency where that of the float model is known."""

    size_mb: float
    speedup: float
    latency_ms: float | None


def predict(
    profile: TargetProfile, measured: MeasuredFloat | None, max_latency_ms: float | None = None
) -> Prediction | None:
    """Size and latency of the artifact; None where the model was not measured, or nothing is known of the strategy.

    Networks of the model's size tell most, on whatever machine: their ratios are interpolated over the logarithm of the
    float size, since small networks spend more of their bytes and of their time between the layers. A derived student
    is as fast as its budgets ask for, ``max_latency_ms`` among them.
    """
    recipe = profile.recipe
    effect = EFFECTS.get(recipe.techniques)
    if measured is None or effect is None:
        return None
    faster = _interpolated(
        [(reference.float_mb, reference.faster) for reference in effect.references], measured.size_mb
    )
    if "distillation" in recipe.techniques:
        faster = asked_speedup(recipe.budgets, measured.latency_ms, max_latency_ms)
    smaller = _interpolated(
        [(reference.float_mb, reference.smaller) for reference in effect.references], measured.size_mb
    )
    latency_ms = None if measured.latency_ms is None else measured.latency_ms / faster
    return Prediction(size_mb=measured.size_mb / smaller, speedup=faster, latency_ms=latency_ms)


def asked_speedup(budgets: Budgets, latency_ms: float | None, max_latency_ms: float | None = None) -> float:
    """Speedup that a derived student has to reach over an original of this latency.

    >>> round(asked_speedup(Budgets(min_speedup=1.9), 10.0), 2), round(asked_speedup(Budgets(), 9.5, 5.0), 2)
    (2.0, 2.0)
    """
    limits = [*budgets.latency_limits_ms, *([] if max_latency_ms is None else [max_latency_ms])]
    asked = [] if latency_ms is None else [latency_ms / limit for limit in limits]
    return max([budgets.min_speedup or 1.0, *asked]) / MARGIN


def _interpolated(points: Sequence[tuple[float, float]], size: float) -> float:
    """The value at a size, linear in its logarithm between the points, that of the outer points beyond them."""
    sizes, values = zip(*points, strict=True)
    return float(np.interp(math.log(size), np.log(sizes), values))
