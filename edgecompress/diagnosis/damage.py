"""Damage: how far each layer's output in the INT8 artifact is from what it was in floats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.diagnosis.intermediate_values import parts_of, watch
from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.operators import SATURATING
from edgecompress.quantization.qdq_pairs import floats_name, read_params

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One layer, in the order of the graph.

    ``value`` is what it writes in the float model, after the activation that is fused with it. ``sqnr_db`` is the
    agreement of the artifact's with that, all that went wrong before it included; ``rounding_db`` what rounding only
    this value to its integers leaves, and None where the artifact keeps it in floats.
    """

    layer: str
    kind: str
    value: str
    sqnr_db: float
    rounding_db: float | None


def measure_damage(floats: ir.Model, artifact: ir.Model, batch: Batch) -> list[Damage]:
    """The damage of every layer with weights whose output both models compute.

    Args:
        floats: the float model that was quantized.
        artifact: what became of it; both are only read.
        batch: its first samples are run.
    """
    found = list(_layers(floats, artifact))
    if not found:
        return []
    parts, grids = parts_of(floats, batch), [read_params(artifact.graph, value) for _, value, _ in found]
    agreements, roundings = [Agreement() for _ in found], [Agreement() for _ in found]
    befores = watch(floats, [value for _, value, _ in found], parts)
    afters = watch(artifact, [name for *_, name in found], parts)
    for before, after in zip(befores, afters, strict=True):
        for place, (real, shipped, grid) in enumerate(zip(before, after, grids, strict=True)):
            agreements[place] = agreements[place].merge(_agreement(real, _as_many(shipped, real)))
            if grid is not None:
                rounded = grid.dequantize(grid.quantize(real))
                roundings[place] = roundings[place].merge(_agreement(real, rounded))
    return [
        Damage(
            layer=str(node.name),
            kind=node.op_type,
            value=value,
            sqnr_db=agreement.sqnr_db,
            rounding_db=None if grid is None else rounding.sqnr_db,
        )
        for (node, value, _), agreement, rounding, grid in zip(found, agreements, roundings, grids, strict=True)
    ]


def _as_many(shipped: Array, real: Array) -> Array:
    """The channels that the float model has: an artifact may have more behind them."""
    return shipped if shipped.ndim < 2 else shipped[:, : real.shape[1]]


def _agreement(reference: Array, actual: Array) -> Agreement:
    return Agreement.between([reference.reshape(-1)], [actual.reshape(-1)])


def _layers(floats: ir.Model, artifact: ir.Model) -> Iterator[tuple[ir.Node, str, str]]:
    """Each layer, the name of its value in the float model, and the name of the same in the artifact."""
    known = {str(value.name) for node in artifact.graph for value in node.outputs}
    for node in floats.graph:
        if node.op_type not in WEIGHTED or constant(node.inputs[1]) is None:
            continue
        values = list(_written(node.outputs[0]))
        pairs = [(value, name) for value in values for name in (floats_name(value), value) if name in known]
        dequantized = [pair for pair in pairs if pair[0] != pair[1]]
        if pairs:
            yield node, *(dequantized or pairs)[-1]


def _written(value: ir.Value) -> Iterator[str]:
    """A layer's output and what an activation makes of it."""
    yield str(value.name)
    readers = [node for node, _ in value.uses()]
    if len(readers) == 1 and readers[0].op_type in SATURATING:
        yield str(readers[0].outputs[0].name)
