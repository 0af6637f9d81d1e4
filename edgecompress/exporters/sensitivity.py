"""Sensitivity: what each layer costs in accuracy as integers, and what it would cost in time as floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.data import Batch, Batches
from edgecompress.exporters.lowering import Lowering, floating
from edgecompress.metrics import Agreement
from edgecompress.progress import Progress
from edgecompress.runtime import ALL_CORES, execute, open_session, run_session, to_bytes
from edgecompress.validation.profiling import node_times

PROBE_ROWS = 32
"""Samples that every layer is judged on."""
LEAST_MS = 1e-3
"""What a layer costs at least: the profiler counts microseconds."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """One layer.

    ``sqnr_db`` is the agreement of the outputs where it alone is integer; ``gain_db`` what the INT8 model
    wins where it alone is float, and ``lost_ms`` the time that one sample takes longer then.
    """

    name: str
    kind: str
    sqnr_db: float
    gain_db: float
    lost_ms: float

    @property
    def worth(self) -> float:
        """Decibels regained for a millisecond lost."""
        return self.gain_db / max(self.lost_ms, LEAST_MS)


def rank_layers(original: ir.Model, lowering: Lowering, batches: Batches, progress: Progress) -> list[Sensitivity]:
    """The layers with weights, the one whose return to float pays most first.

    Args:
        original: the float model that outputs are compared with.
        lowering: what is quantized, and how.
        batches: calibration data; the first samples are read.
        progress: told of every layer.
    """
    probe = batches.first()
    probe = probe.slice(0, PROBE_ROWS)
    reference = execute(original, probe.inputs)
    whole = _agreement(reference, lowering, probe)
    lost = _milliseconds_lost(original, lowering, batches.first().sample(1))
    kinds = {str(node.name): node.op_type for node in lowering.model.graph}
    found = []
    for name in progress.track(list(lowering.weights), "sensitivity of layers"):
        others = [other for other in lowering.weights if other != name]
        found.append(
            Sensitivity(
                name=name,
                kind=kinds[name],
                sqnr_db=_agreement(reference, floating(lowering, others), probe),
                gain_db=_agreement(reference, floating(lowering, [name]), probe) - whole,
                lost_ms=lost.get(name, 0.0),
            )
        )
    return sorted(found, key=lambda one: one.worth, reverse=True)


def _agreement(reference: Sequence[object], lowering: Lowering, probe: Batch) -> float:
    outputs = run_session(open_session(lowering.write(), ALL_CORES), probe.inputs)
    return Agreement.between(reference, outputs).sqnr_db  # type: ignore[arg-type]


def _milliseconds_lost(original: ir.Model, lowering: Lowering, sample: Batch) -> dict[str, float]:
    """What each layer takes longer as floats; a layer that the profiles do not tell apart takes the mean of all."""
    real, integer = (node_times(to_bytes(model), sample.inputs) for model in (original, lowering.write()))
    mean = (sum(real.values()) - sum(integer.values())) / max(1, len(lowering.weights))
    lost = {}
    for node in lowering.model.graph:
        if node.name in lowering.weights:
            before, after = (_time_of(node, times) for times in (real, integer))
            lost[str(node.name)] = max(mean if before is None or after is None else before - after, 0.0)
    return lost


def _time_of(layer: ir.Node, times: Mapping[str, float]) -> float | None:
    """The time of a layer under its own name, or that of the operator behind it that it was fused with."""
    readers = [str(reader.name) for output in layer.outputs for reader, _ in output.uses()]
    return next((times[name] for name in (str(layer.name), *readers) if name in times), None)
