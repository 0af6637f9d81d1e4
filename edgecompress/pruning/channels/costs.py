"""Multiply-accumulates, parameters and channels of a network at any widths, counted on its graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from torch import fx

from edgecompress.pruning.channels.cost_terms import AxisExtent, Term, extents_of, names_of, term
from edgecompress.pruning.channels.widths import Widths
from edgecompress.pruning.structure.analysis import Structure
from edgecompress.pruning.structure.groups import Group
from edgecompress.pruning.structure.rules.call import operator_name

Extents = tuple[AxisExtent, ...]


def macs_terms(structure: Structure, groups: Sequence[Group]) -> tuple[Term, ...]:
    """The multiply-accumulates of every convolution, linear layer, matrix product and attention.

    Args:
        structure: of the network; the count is for the inputs that it was captured with.
        groups: whose widths can change.
    """
    names = names_of(groups)
    found = []
    for node in structure.values:
        if node.op == "call_function" and (factors := _factors(node)) is not None:
            operands = [extents_of(structure.values[operand][0], names) for operand in _tensors(structure, node)]
            extents = factors(operands, extents_of(structure.values[node][0], names))
            found += [term(product, _multiplied(product)) for product in extents]
    return tuple(found)


def parameter_terms(structure: Structure, groups: Sequence[Group]) -> tuple[Term, ...]:
    """The elements of every parameter; those that two layers share count once, buffers do not."""
    names, signature = names_of(groups), structure.program.graph_signature
    tensors = (structure.tensors[name] for name in signature.parameters if name in structure.tensors)
    extents = (extents_of(channels, names) for channels in tensors)
    return tuple(term(lengths, _multiplied(lengths)) for lengths in extents)


def channel_terms(_structure: Structure, groups: Sequence[Group]) -> tuple[Term, ...]:
    """The channels that a group's widest tensor has."""
    extents = [AxisExtent(fixed=0, per_unit={group.name: group.width}) for group in groups]
    return tuple(term([extent], _multiplied((extent,))) for extent in extents)


def _factors(node: fx.Node) -> Callable[[list[Extents], Extents], Iterator[Extents]] | None:
    """The lengths whose product is the work of a node, from those of its operands and its result."""
    name = operator_name(node)
    if name == "einsum":
        return lambda operands, _: iter([_of_each_letter(str(node.args[0]), operands)])
    if name.startswith("conv_transpose"):
        return lambda operands, _: iter([(*operands[0], *operands[1][1:])])
    if name.startswith("conv") or name == "linear":
        return lambda operands, result: iter([(*result, *operands[1][1:])])
    if name in ("bmm", "matmul", "mm"):
        return lambda operands, result: iter([(*result, operands[0][-1])])
    if name in ("addmm", "baddbmm"):
        return lambda operands, result: iter([(*result, operands[1][-1])])
    if name == "scaled_dot_product_attention":
        return lambda operands, _: iter([(*operands[0][:-1], operands[1][-2], operands[at][-1]) for at in (1, 2)])
    return None


def _of_each_letter(equation: str, operands: Sequence[Extents]) -> Extents:
    """The length of each axis of an einsum; an ellipsis stands for axes of its own."""
    lengths: dict[str, AxisExtent] = {}
    for written, operand in zip(equation.replace(" ", "").partition("->")[0].split(","), operands, strict=True):
        before, _, after = written.partition("...")
        outer = [f"...{place}" for place in range(len(operand) - len(before) - len(after), 0, -1)]
        lengths |= dict(zip([*before, *outer, *after], operand, strict=True))
    return tuple(lengths.values())


def _tensors(structure: Structure, node: fx.Node) -> list[fx.Node]:
    return [operand for operand in node.all_input_nodes if structure.values[operand]]


def _multiplied(extents: Extents) -> Callable[[Widths], float]:
    return lambda widths: math.prod(extent.at(widths) for extent in extents)
