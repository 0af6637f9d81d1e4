"""Constants of one value, by the sizes that a network's own code gives them: zeros, ones, filled tensors.

Every element is like every other, so that any of them can leave with what it meets, if the code follows. Whether it
does is not known here: ``torch.zeros(x.shape)`` follows, ``torch.zeros(1, 16)`` does not.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, fresh, labelled
from edgecompress.pruning.structure.rules.call import Call, Result, Rule, operator_name
from edgecompress.pruning.structure.rules.unknown import unknown


def constant(classes: Classes, call: Call) -> Labelled:
    """A tensor of a given size, as free as a parameter."""
    return fresh(classes, call.shape)


def refill(classes: Classes, call: Call) -> Result:
    """One value in the place of another; what fills a part of a tensor changes the whole, and is not followed."""
    if not is_constant(call.given("self")):
        return unknown(classes, call)
    return labelled(classes, call.shape, call["self"].slots)


def is_constant(node: fx.Node) -> bool:
    """Whether a node makes such a tensor, of numbers that are no indices."""
    value = node.meta.get("val")
    holds_numbers = isinstance(value, Tensor) and (value.is_floating_point() or value.dtype is torch.bool)
    return node.op == "call_function" and operator_name(node) in SIZED and holds_numbers


SIZED = ("empty", "full", "new_empty", "new_full", "new_ones", "new_zeros", "ones", "zeros")

RULES: dict[str, Rule] = {"fill": refill, "zero": refill}
