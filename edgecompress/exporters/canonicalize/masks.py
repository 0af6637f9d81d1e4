"""Attention without a mask loses what the exporter writes for one: an addition of zeros, and a guard against NaN."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import bypass, constant, producer
from edgecompress.step import StepResult

LAYOUT = ("Expand", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Identity")


def drop_masks(model: ir.Model) -> StepResult[ir.Model]:
    """Drop additions of zeros, and ``Where(IsNaN(p), c, p)`` behind a Softmax whose rows cannot be all -inf.

    A Softmax of finite values, or of finite values plus a constant mask that leaves each row something
    finite, is never NaN. A mask that is computed at run time may hide a whole row: its guard stays.
    """
    unmasked = model.clone()
    changes: list[str] = []
    for node in list(unmasked.graph):
        kept = _kept_by_addition(node)
        if kept is not None and bypass(unmasked.graph, node, kept):
            changes.append(f"{node.name}: it added zeros, and is dropped")
    for node in list(unmasked.graph):
        kept = _guarded(node)
        if kept is not None and bypass(unmasked.graph, node, kept):
            changes.append(f"{node.name}: it guarded against NaN that cannot come, and is dropped")
    passes.RemoveUnusedNodesPass()(unmasked)
    return StepResult(model=unmasked, changes=tuple(changes))


def uniform(value: ir.Value | None) -> float | None:
    """The one number that a value holds everywhere; None where it holds several, or it is not known."""
    array = constant(value)
    if array is not None:
        return float(array.flat[0]) if array.size and (array == array.flat[0]).all() else None
    if (moved := producer(value, *LAYOUT)) is not None:
        return uniform(moved.inputs[0])
    if (chosen := producer(value, "Where")) is not None:
        condition = uniform(chosen.inputs[0])
        return None if condition is None else uniform(chosen.inputs[1 if condition else 2])
    return None


def _kept_by_addition(node: ir.Node) -> ir.Value | None:
    """The operand that an addition of zeros gives back, shape included."""
    if node.op_type != "Add" or node.domain not in ("", "ai.onnx"):
        return None
    for source, zeros in ((node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])):
        if uniform(zeros) == 0.0 and source is not None and _covers(source.shape, zeros):
            return source
    return None


def _covers(shape: ir.Shape | None, other: ir.Value | None) -> bool:
    """Whether broadcasting with ``other`` leaves ``shape`` as it is."""
    if shape is None or other is None or other.shape is None or len(other.shape) > len(shape):
        return False
    pairs = zip(reversed(list(other.shape)), reversed(list(shape)), strict=False)
    return all(theirs == 1 or (theirs == own and _known(own)) for theirs, own in pairs)


def _known(size: int | ir.SymbolicDim) -> bool:
    return isinstance(size, int) or size.value is not None


def _guarded(node: ir.Node) -> ir.Value | None:
    """The probabilities behind a guard that has nothing to do."""
    if node.op_type != "Where":
        return None
    test, kept = producer(node.inputs[0], "IsNaN"), node.inputs[2]
    softmax = producer(kept, "Softmax")
    if test is None or softmax is None or test.inputs[0] is not kept:
        return None
    return kept if _leaves_something(softmax.inputs[0]) else None


def _leaves_something(scores: ir.Value | None) -> bool:
    """Whether each row of the scores holds a finite value, given that matrix products are finite."""
    if (scaled := producer(scores, "Mul", "Div")) is not None:
        numbers = [uniform(value) for value in scaled.inputs]
        finite = [value for value, number in zip(scaled.inputs, numbers, strict=True) if number is None]
        return len(finite) == 1 and producer(finite[0], "MatMul") is not None
    if (masked := producer(scores, "Add")) is not None:
        masks = [array for value in masked.inputs if (array := constant(value)) is not None]
        products = [value for value in masked.inputs if producer(value, "MatMul", "Mul", "Div") is not None]
        if len(masks) != 1 or len(products) != 1 or masks[0].ndim == 0:
            return False
        reachable = np.isfinite(masks[0]).any(axis=-1).all() and not (np.isnan(masks[0]) | np.isposinf(masks[0])).any()
        return bool(reachable) and _leaves_something(products[0])
    return producer(scores, "MatMul") is not None
