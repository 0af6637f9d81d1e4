"""Sizes that the data decide, as ``nonzero`` does: what stands for them, and the channels that they are read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecompress.pruning.structure.rules.call import FOUND, operator_name

_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)
UNBOUNDED = 8
"""What stands for a size that could be any."""


def pin_sizes(program: ExportedProgram) -> ExportedProgram:
    """The same program, in whose graph every size is a number: the largest that it can be, and two at least.

    Which number it is does not matter, since no channel lies along such an axis; the graph computes what it did.
    """
    numbers: dict[Any, int] = {}

    def number(symbol: Any) -> int:
        if symbol not in numbers:
            upper = program.range_constraints[symbol].upper if symbol in program.range_constraints else None
            is_bounded = upper is not None and bool(getattr(upper, "is_Integer", False)) and upper < 2**31
            numbers[symbol] = max(int(upper), 2) if is_bounded and upper is not None else UNBOUNDED
        return numbers[symbol]

    def pin(value: Any) -> Any:
        if isinstance(value, _SYMBOLIC):
            return _number(value, number)
        if isinstance(value, Tensor) and any(isinstance(size, torch.SymInt) for size in value.shape):
            shape = [_number(size, number) if isinstance(size, torch.SymInt) else size for size in value.shape]
            return torch.empty(shape, dtype=value.dtype, device="meta")
        return value

    for node in program.graph.nodes:
        node.meta[FOUND] = bool(
            _symbols(node) - {symbol for operand in node.all_input_nodes for symbol in _symbols(operand)}
        )
    for node in program.graph.nodes:
        if "val" in node.meta:
            node.meta["val"] = pytree.tree_map(pin, node.meta["val"])
    return program


def _symbols(node: fx.Node) -> set[Any]:
    """The sizes and numbers in what a node gives that are not known yet."""
    leaves = pytree.tree_leaves(node.meta.get("val"))
    sizes = [size for leaf in leaves for size in (leaf.shape if isinstance(leaf, Tensor) else (leaf,))]
    return {symbol for size in sizes if isinstance(size, _SYMBOLIC) for symbol in size.node.expr.free_symbols}


def _number(value: Any, number: Callable[[Any], int]) -> int | float | bool:
    expression = value.node.expr
    found = expression.xreplace({symbol: number(symbol) for symbol in expression.free_symbols})
    if isinstance(value, torch.SymBool):
        return bool(found)
    return int(found) if isinstance(value, torch.SymInt) else float(found)


def deciding(node: fx.Node, has_channels: Callable[[fx.Node], bool]) -> list[fx.Node]:
    """The tensors with channels from which a node learns a size or a number: the nearest, with no layer in between.

    A mask decides how many rows ``x[mask]`` has, ``x`` does not.
    """
    found, seen = [], set(waiting := _read_to_that_end(node))
    while waiting:
        current = waiting.pop()
        if has_channels(current):
            found.append(current)
        elif not any(operand.op == "placeholder" for operand in current.all_input_nodes):
            new = [operand for operand in current.all_input_nodes if operand not in seen]
            seen.update(new)
            waiting += new
    return found


def _read_to_that_end(node: fx.Node) -> list[fx.Node]:
    if not node.meta.get(FOUND):
        return []
    if operator_name(node) == "index":
        indices: list[fx.Node | None] = node.args[1]  # type: ignore[assignment]
        return [index for index in indices if index is not None]
    return list(node.all_input_nodes)
