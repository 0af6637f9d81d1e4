"""GatherND at places that are known becomes Gather, or Reshape where it reads all values in their order.

The exporter writes it where tensors are indexed by several others, as transformers make the mask of attention. The
compiler of a Hexagon NPU leaves it to the CPU, and takes the others.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant, initializer, node, source_of, substitute
from edgecompress.step import StepResult


def flatten_gathers(model: ir.Model) -> StepResult[ir.Model]:
    """Let each GatherND whose indices are constant, on axes of known sizes, read rows of these axes laid end to end.

    The same values are moved to the same places, bit for bit. One with ``batch_dims``, or with indices that are out of
    range, stays.
    """
    flattened = model.clone()
    changes: list[str] = []
    for each in list(flattened.graph):
        if each.op_type == "GatherND" and each.domain in ("", "ai.onnx"):
            sizes = _sizes(source_of(each))
            rows = _rows(each, sizes)
            if rows is not None:
                made = _replacement(flattened.graph, each, rows, sizes)
                substitute(flattened.graph, each, made)
                changes.append(f"{each.name}: GatherND became {' and '.join(every.op_type for every in made)}")
    passes.RemoveUnusedNodesPass()(flattened)
    return StepResult(model=flattened, changes=tuple(changes))


def _sizes(source: ir.Value) -> list[int | None]:
    """The sizes of a value's axes; None for one that is dynamic, nothing where the number of axes is not known."""
    return [size if isinstance(size, int) else None for size in source.shape or ()]


def _rows(gather: ir.Node, sizes: list[int | None]) -> Array | None:
    """Which rows of the indexed axes, laid end to end, are read; None where that is not known."""
    indices, batched = constant(gather.inputs[1]), gather.attributes.get_int("batch_dims", 0)
    if indices is None or batched or not 0 < indices.shape[-1] <= len(sizes):
        return None
    known = [size for size in sizes[: indices.shape[-1]] if size is not None]
    rest = sizes[indices.shape[-1] :]
    if len(known) < indices.shape[-1] or rest.count(None) > 1 or 0 in rest:
        return None
    places = np.moveaxis(np.where(indices < 0, indices + np.array(known), indices), -1, 0)
    if any((place < 0).any() or (place >= size).any() for place, size in zip(places, known, strict=True)):
        return None
    rows: Array = np.ravel_multi_index(tuple(places), known)
    return rows


def _replacement(graph: ir.Graph, gather: ir.Node, rows: Array, sizes: list[int | None]) -> list[ir.Node]:
    indexed = _width(gather)
    rest = [-1 if size is None else size for size in sizes[indexed:]]
    count, name = prod(size for size in sizes[:indexed] if size is not None), str(gather.name)
    if np.array_equal(rows.reshape(-1), np.arange(count)):
        shape = initializer(graph, f"{name}/shape", np.array([*rows.shape, *rest], np.int64))
        return [node("Reshape", [gather.inputs[0], shape], f"{name}/moved", name)]
    shape = initializer(graph, f"{name}/shape", np.array([count, *rest], np.int64))
    flat = node("Reshape", [gather.inputs[0], shape], f"{name}/flat", f"{name}/flat")
    chosen = initializer(graph, f"{name}/rows", rows.astype(np.int64))
    return [flat, node("Gather", [flat.outputs[0], chosen], f"{name}/moved", name, axis=0)]


def _width(gather: ir.Node) -> int:
    """How many axes are indexed."""
    indices = constant(gather.inputs[1])
    assert indices is not None
    return int(indices.shape[-1])
