"""Operators whose inputs stay whole: those that no rule knows, or that a rule does not follow in this form."""

from __future__ import annotations

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled
from edgecompress.pruning.structure.rules.call import Call, Result


def unknown(classes: Classes, call: Call) -> Result:
    """Keep whole what an operator reads that no rule knows."""
    return keep_whole(classes, call, f"goes through {call.name}, which no rule knows")


def keep_whole(classes: Classes, call: Call, reason: str) -> Result:
    """Keep whole all that a call reads; what it returns belongs to no channel."""
    for tensor in call.tensors:
        for slot in tensor.slots:
            classes.freeze(slot, reason)
    return unlabelled(call)


def unlabelled(call: Call) -> Result:
    """What a call returns, without labels."""
    results = [Labelled(shape) for shape in call.shapes]
    single = not isinstance(call.node.meta.get("val"), (list, tuple))
    return results[0] if single and results else results
