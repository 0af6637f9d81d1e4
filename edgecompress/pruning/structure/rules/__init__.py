"""What each operator does to channel labels: one file for each kind of operator."""

from __future__ import annotations

import operator

from edgecompress.pruning.structure.classes import Classes
from edgecompress.pruning.structure.labelled import Labelled
from edgecompress.pruning.structure.rules import contraction, elementwise, movement, normalization, reduction
from edgecompress.pruning.structure.rules.call import Call, Result, Rule, bind

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **movement.RULES,
    **reduction.RULES,
    **contraction.RULES,
    **normalization.RULES,
}

__all__ = ["RULES", "Call", "Result", "bind", "propagate"]


def propagate(classes: Classes, call: Call) -> Result:
    """The labels of what a call returns; an operator that no rule knows keeps its inputs whole."""
    if call.node.target is operator.getitem:
        values, index = call.arguments.values()
        return values[index] if isinstance(values, list) else Labelled(call.shape)
    if not any(tensor.slots for tensor in call.tensors):
        return _unlabelled(call)
    if call.name in RULES:
        return RULES[call.name](classes, call)
    if elementwise.is_elementwise(call):
        return elementwise.elementwise(classes, call)
    if not call.shapes:  # an assertion, which computes nothing
        return []
    for tensor in call.tensors:
        for slot in tensor.slots:
            classes.freeze(slot, f"goes through {call.name}, which no rule knows")
    return _unlabelled(call)


def _unlabelled(call: Call) -> Result:
    results = [Labelled(shape) for shape in call.shapes]
    single = not isinstance(call.node.meta.get("val"), (list, tuple))
    return results[0] if single and results else results
