"""What each operator does to channel labels: one file for each kind of operator."""

from __future__ import annotations

import operator

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled
from edgecompress.pruning.structure.rules import (
    constants,
    contraction,
    elementwise,
    indexing,
    joining,
    movement,
    normalization,
    reduction,
)
from edgecompress.pruning.structure.rules.call import Call, Result, Rule, bind
from edgecompress.pruning.structure.rules.unknown import keep_whole, unknown, unlabelled

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **movement.RULES,
    **joining.RULES,
    **reduction.RULES,
    **contraction.RULES,
    **normalization.RULES,
    **indexing.RULES,
    **constants.RULES,
}

__all__ = ["RULES", "Call", "Result", "bind", "propagate"]


def propagate(classes: Classes, call: Call) -> Result:
    """The labels of what a call returns; an operator that no rule knows keeps its inputs whole."""
    if call.node.target is operator.getitem:
        values, index = call.arguments.values()
        return values[index] if isinstance(values, list) else Labelled(call.shape)
    if constants.is_constant(call.node):
        return constants.constant(classes, call)
    if not any(tensor.slots for tensor in call.tensors) or not call.shapes:  # an assertion computes nothing
        return unlabelled(call)
    if call.finds_size and call.name not in indexing.RULES:
        return keep_whole(classes, call, f"goes through {call.name}, whose size depends on the data")
    if call.name in RULES and not (call.reads_number and call.name not in movement.SHAPED):
        return RULES[call.name](classes, call)
    if elementwise.is_elementwise(call):
        return elementwise.elementwise(classes, call)
    if call.reads_number:
        return keep_whole(classes, call, f"goes through {call.name}, by a number that depends on the data")
    return unknown(classes, call)
