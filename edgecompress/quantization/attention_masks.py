"""Masks of attention in numbers that integers hold: minus infinity becomes one that Softmax still makes zero.

A mask that is added to scores, or put in their place, holds minus infinity or the least float32. A range that covers it
leaves all scores to one integer. For Softmax any number far enough below the scores does the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Array
from edgecompress.calibration import collect
from edgecompress.data.batches import Batches
from edgecompress.exporters.graph import bypass, constant, initializer, producer, source_of
from edgecompress.progress import Progress
from edgecompress.quantization.operators import MOVES
from edgecompress.quantization.qdq_pairs import PAIRS

HUGE = -1e30
"""Numbers below stand for minus infinity."""
MARGIN = 20.0
"""How far a masked score ends below the least of the others; exp(-20) is 2e-9."""
ON_THE_WAY = frozenset({"Add", "Cast", "Mul", "Sub", "Where", *MOVES, *PAIRS})
"""Operators through which a mask reaches its Softmax."""


@dataclass(frozen=True, kw_only=True)
class _Mask:
    """A constant with minus infinity in it, as a node reads it."""

    reader: ir.Node
    index: int
    array: Array


def bound_masks(model: ir.Model, batches: Batches, progress: Progress) -> int:
    """Write finite numbers for minus infinity in masks, and drop what guards against the NaN of a row without scores.

    Such a row becomes even, and was zero.

    Args:
        model: changed in place; without a mask it stays as it is.
        batches: calibration data, on which the scores are measured without any mask.
        progress: told of every batch.

    Returns:
        How many constants were masks.
    """
    masks = [mask for node in list(model.graph) for mask in _masks_of(node)]
    if masks:
        scores = {str(source_of(node).name) for mask in masks for node in _softmaxes(mask.reader)}
        _write(model.graph, masks, 0.0)
        measured = collect(model, sorted(scores), batches, progress).histograms.values()
        _write(model.graph, masks, -MARGIN - max(histogram.high - histogram.low for histogram in measured))
        _drop_guards(model.graph)
        passes.RemoveUnusedNodesPass()(model)
    return len(masks)


def _masks_of(node: ir.Node) -> Iterator[_Mask]:
    if node.op_type not in ON_THE_WAY or node.op_type in PAIRS:
        return
    for index, value in enumerate(node.inputs):
        array = constant(value)
        holds = array is not None and array.dtype == np.float32 and bool((array < HUGE).any())
        if array is not None and holds and _softmaxes(node):
            yield _Mask(reader=node, index=index, array=array)


def _softmaxes(node: ir.Node) -> list[ir.Node]:
    """Every Softmax that a node's output reaches."""
    found, seen, waiting = [], set[ir.Node](), [node]
    while waiting:
        current = waiting.pop()
        for reader in dict.fromkeys(user for output in current.outputs for user, _ in output.uses()):
            if reader.op_type == "Softmax":
                found.append(reader)
            elif reader.op_type in ON_THE_WAY and reader not in seen:
                seen.add(reader)
                waiting.append(reader)
    return found


def _write(graph: ir.Graph, masks: Sequence[_Mask], number: float) -> None:
    """A number in the place of minus infinity, in constants of the readers' own."""
    for mask in masks:
        bounded = np.where(mask.array < HUGE, np.float32(number), mask.array)
        value = initializer(graph, f"{mask.reader.name}/mask_{mask.index}", bounded)
        mask.reader.replace_input_with(mask.index, value)


def _drop_guards(graph: ir.Graph) -> None:
    """Integers are never NaN: what a Where takes of a value that is none is that value."""
    for choice in [node for node in graph if node.op_type == "Where"]:
        asked = producer(choice.inputs[0], "IsNaN")
        if asked is not None and asked.inputs[0] is choice.inputs[2] and choice.inputs[2] is not None:
            bypass(graph, choice, choice.inputs[2])
