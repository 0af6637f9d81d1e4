"""Operators that compute each element from the elements at its own place."""

from __future__ import annotations

import torch
from torch import fx

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, combine, reshape
from edgecompress.pruning.structure.rules.call import Call, Rule, operator_name

MEETS_CONSTANTS = "meets values that cannot be removed"
UNTAGGED = (
    # the same values again, or none of them
    "_to_copy",
    "alias",
    "alias_copy",
    "alpha_dropout",
    "clone",
    "conj",
    "contiguous",
    "cpu",
    "detach",
    "detach_copy",
    "dropout",
    "feature_alpha_dropout",
    "feature_dropout",
    "lift",
    "lift_fresh",
    "lift_fresh_copy",
    "real",
    "resolve_conj",
    "resolve_neg",
    "to",
    "type_as",
    # constants in the shape of their input
    "empty_like",
    "full_like",
    "ones_like",
    "zeros_like",
    # functions, many under a second name
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "divide",
    "fix",
    "floor_divide",
    "greater",
    "greater_equal",
    "hardswish",
    "isclose",
    "less",
    "less_equal",
    "log_sigmoid",
    "masked_fill",
    "multiply",
    "negative",
    "not_equal",
    "special_digamma",
    "special_erf",
    "special_erfc",
    "special_exp2",
    "special_expit",
    "special_expm1",
    "special_i0",
    "special_log1p",
    "special_ndtr",
    "special_psi",
    "special_round",
    "special_sinc",
    "subtract",
    "true_divide",
    "where",
)
"""Elementwise operators that PyTorch does not tag as such."""


def is_elementwise(call: Call) -> bool:
    """Whether the operator works element by element, by PyTorch's own tag or by :data:`UNTAGGED`."""
    return is_elementwise_node(call.node)


def is_elementwise_node(node: fx.Node) -> bool:
    """The same of a node of the graph."""
    return torch.Tag.pointwise in getattr(node.target, "tags", ()) or operator_name(node).rstrip("_") in UNTAGGED


def elementwise(classes: Classes, call: Call) -> Labelled:
    """Operands broadcast, and channels that meet are removed together."""
    return combine(classes, call.tensors, call.shape, MEETS_CONSTANTS)


def prelu(classes: Classes, call: Call) -> Labelled:
    """A slope for each channel, axis 1, or one for all."""
    return combine(classes, [call["self"], along(call["weight"], 1, len(call.shape))], call.shape, MEETS_CONSTANTS)


def glu(classes: Classes, call: Call) -> Labelled:
    """One half of the channels gates the other."""
    operand, axis = call["self"], call["dim"] % len(call.shape)
    half = operand.shape[axis] // 2
    halves = [
        Labelled(call.shape, tuple(slot.narrow(axis, start, half) for slot in operand.slots)) for start in (0, half)
    ]
    return combine(classes, halves, call.shape, MEETS_CONSTANTS)


def along(vector: Labelled, axis: int, rank: int) -> Labelled:
    """A vector, one value for each channel, shaped so that it broadcasts along ``axis`` of a tensor."""
    return reshape(vector, [*vector.shape, *[1] * (rank - axis - 1)])


RULES: dict[str, Rule] = {"prelu": prelu, "_prelu_kernel": prelu, "glu": glu}
