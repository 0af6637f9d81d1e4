"""Normalizations that a network's own code writes out: a statistic of channels that comes back to these channels.

``x * rsqrt(mean(x ** 2) + eps)`` is the normalization of ``x`` as much as the operator ``rms_norm`` is: what is left of
the channels is normalized by its own statistics.
"""

from __future__ import annotations

from torch import Tensor, fx

from edgecompress.pruning.structure.rules.call import operator_name
from edgecompress.pruning.structure.rules.elementwise import is_elementwise_node

STATISTICS = ("mean", "std", "var")


def is_normalizing(node: fx.Node) -> bool:
    """Whether a statistic serves for nothing but to be subtracted from, or to divide, what it was taken of."""
    if operator_name(node) not in STATISTICS or not _elements(node):
        return False
    source = node.all_input_nodes[0]
    return _elements(source) > _elements(node) and _only_normalizes(node, source, inverted=False)


def _only_normalizes(statistic: fx.Node, source: fx.Node, *, inverted: bool) -> bool:
    """Whether every use of a value that was computed only from the statistic ends in a normalization."""
    uses = (user for user in statistic.users if user.op == "output" or _elements(user))  # no assertions
    return all(_use_normalizes(user, statistic, source, inverted) for user in uses)


def _use_normalizes(user: fx.Node, statistic: fx.Node, source: fx.Node, inverted: bool) -> bool:
    if user.op == "output" or not is_elementwise_node(user):
        return False
    name = operator_name(user).rstrip("_")
    divides = name == "div" and user.args[0] is not statistic
    others = [
        operand
        for operand in user.all_input_nodes
        if operand is not statistic and _elements(operand) == _elements(source)
    ]
    if not others:
        inverts = divides or name in ("reciprocal", "rsqrt") or (name == "pow" and _is_negative(user.args[1]))
        return _only_normalizes(user, source, inverted=inverted or inverts)
    joins = name == "sub" or divides or (name == "mul" and inverted)
    return joins and all(_sources(operand) & _sources(source) for operand in others)


def _sources(node: fx.Node) -> set[fx.Node]:
    """A value and those that it was computed from element by element."""
    found, waiting = {node}, [node]
    while waiting:
        current = waiting.pop()
        if current.op == "call_function" and is_elementwise_node(current):
            new = [
                operand for operand in current.all_input_nodes if operand not in found and operand.op == "call_function"
            ]
            found.update(new)
            waiting += new
    return found


def _is_negative(exponent: object) -> bool:
    return isinstance(exponent, (int, float)) and exponent < 0


def _elements(node: fx.Node) -> int:
    value = node.meta.get("val")
    return value.numel() if isinstance(value, Tensor) else 0
