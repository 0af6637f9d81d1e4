"""Sensitivity: what each layer costs in accuracy as integers, and what it would cost in time as floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch, Batches
from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.lowering import Lowering, floating
from edgecompress.runtime import ALL_CORES, execute, network_rows, open_session, run_session, to_bytes
from edgecompress.timing.profiling import node_times, time_of

PROBE_ROWS = 32
"""Samples that every layer is judged on."""
LEAST_MS = 1e-3
"""What a layer costs at least: the profiler counts microseconds."""
DropOf = Callable[[ir.Model], float | None]
"""How much worse a model's metric is than that of the float model, in the metric's unit."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """One layer.

    ``sqnr_db`` is the agreement of the outputs where only it is integer. ``gain_db`` is what the INT8 model
    wins where the ``group``, the layer and the layers that feed it, is float, and ``lost_ms`` the time that
    one sample takes longer then: if only the layer were float, its input would still be integers. ``metric_drop`` is
    how much worse the metric is where only the layer is integer, in the metric's unit; None where none was measured.
    """

    name: str
    kind: str
    group: tuple[str, ...]
    sqnr_db: float
    gain_db: float
    lost_ms: float
    metric_drop: float | None = None

    @property
    def worth(self) -> float:
        """Decibels regained for a millisecond lost."""
        return self.gain_db / max(self.lost_ms, LEAST_MS)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A few samples, and the outputs of a model that others are held against."""

    samples: Batch
    expected: Sequence[Array]

    def agreement(self, model: ir.Model) -> Agreement:
        """How far the outputs of a model agree with the expected ones."""
        return Agreement.between(self.expected, run_session(open_session(model, ALL_CORES), self.samples.inputs))


def probe_of(model: ir.Model, batches: Batches, rows: int = PROBE_ROWS) -> Probe:
    """The first ``rows`` samples, or as many as the model takes, and what it answers to them."""
    fixed = network_rows(model, batches.axes)
    samples = batches.first().sample(fixed) if fixed else batches.first().slice(0, rows)
    return Probe(samples=samples, expected=execute(model, samples.inputs))


def rank_layers(
    original: ir.Model,
    lowering: Lowering,
    batches: Batches,
    progress: Progress,
    drop_of: DropOf = lambda _: None,
) -> list[Sensitivity]:
    """The layers with weights, the one whose return to float pays most first.

    Args:
        original: the float model that outputs are compared with.
        lowering: what is quantized, and how.
        batches: calibration data; the first samples are read.
        progress: told of every layer.
        drop_of: measures the metric of the model with a single layer as integers.
    """
    rows, probe = network_rows(original, batches.axes), probe_of(original, batches)
    whole = probe.agreement(lowering.write()).sqnr_db
    lost = _milliseconds_lost(original, lowering, batches.first().sample(rows or 1))
    layers = [node for node in lowering.model.graph if node.name in lowering.layers]
    found = []
    for node in progress.track(layers, "measuring what each layer loses", "layer"):
        others = [str(other.name) for other in layers if other is not node]
        feeding = () if node.name in lowering.stored else feeders(node, lowering)
        group, alone = (*feeding, str(node.name)), floating(lowering, others).write()
        found.append(
            Sensitivity(
                name=str(node.name),
                kind=node.op_type,
                group=group,
                sqnr_db=probe.agreement(alone).sqnr_db,
                gain_db=probe.agreement(floating(lowering, group).write()).sqnr_db - whole,
                lost_ms=sum(lost[name] for name in group),
                metric_drop=drop_of(alone),
            )
        )
    return sorted(found, key=lambda layer: layer.worth, reverse=True)


def feeders(layer: ir.Node, lowering: Lowering) -> tuple[str, ...]:
    """The layers with weights whose outputs reach a layer's input through operators without weights."""
    found: dict[str, None] = {}
    computed = [value for value in layer.inputs if value is not None and constant(value) is None]
    waiting, seen = [value.producer() for value in computed], set[ir.Node]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name in lowering.layers:
            found[str(node.name)] = None
        else:
            waiting.extend(value.producer() for value in node.inputs if value is not None)
    return tuple(found)


def _milliseconds_lost(original: ir.Model, lowering: Lowering, sample: Batch) -> dict[str, float]:
    """What each layer takes longer as floats; a layer that the profiles do not tell apart takes the mean of all."""
    real, integer = (node_times(to_bytes(model), sample.inputs) for model in (original, lowering.write()))
    mean = (sum(real.values()) - sum(integer.values())) / max(1, len(lowering.layers))
    lost = {}
    for node in lowering.model.graph:
        if node.name in lowering.layers:
            before, after = (time_of(node, times) for times in (real, integer))
            lost[str(node.name)] = max(mean if before is None or after is None else before - after, 0.0)
    return lost
