"""Watched values: what a model computes inside, a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.runtime import ALL_CORES, network_rows, open_session, run_session

PROBE_ROWS = 16
"""Samples that a diagnosis looks at."""


def parts_of(model: ir.Model, batch: Batch) -> list[Batch]:
    """The first samples of a batch, each a run of its own where the model allows: it returns all that is watched."""
    rows = network_rows(model, batch.axes)
    if rows:
        return [batch.sample(rows)]
    return [batch.slice(row, row + 1) for row in range(min(batch.rows, PROBE_ROWS))]


def watch(model: ir.Model, names: Sequence[str], parts: Sequence[Batch]) -> Iterator[list[Array]]:
    """The named values for each part, in that order.

    Args:
        model: not modified.
        names: of values that its nodes compute.
        parts: batches that it takes.
    """
    watched = model.clone()
    values = {str(value.name): value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.clear()
    watched.graph.outputs.extend(values[name] for name in names)
    session = open_session(watched, ALL_CORES, background=True)
    for part in parts:
        yield run_session(session, part.inputs)
