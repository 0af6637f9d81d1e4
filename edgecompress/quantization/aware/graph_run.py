"""A graph of ONNX nodes, run in PyTorch so that gradients flow through it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor

from edgecompress.quantization.aware.operators import function_of

Change = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One node: what it computes, the names of what it reads and writes, and those that nobody reads after it."""

    compute: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    spent: tuple[str, ...]


def instructions_of(
    graph: ir.Graph, given: Collection[str], special: Callable[[ir.Node], Callable[..., Any] | None]
) -> tuple[Instruction, ...]:
    """The nodes of a graph in its order, without those that write only what is given.

    Args:
        graph: without control flow.
        given: names of values that are computed elsewhere.
        special: what a node computes in another way than its operator says; None for what the operator says.

    Raises:
        NoFormError: an operator has no function in PyTorch.
    """
    nodes = [node for node in graph if not {str(value.name) for value in node.outputs} <= {*given}]
    last = {str(value.name): node for node in nodes for value in node.inputs if value is not None}
    kept = {str(value.name) for value in graph.outputs}
    return tuple(
        Instruction(
            compute=special(node) or function_of(node),
            inputs=tuple("" if value is None else str(value.name) for value in node.inputs),
            outputs=tuple(str(value.name) for value in node.outputs),
            spent=tuple(name for name, reader in last.items() if reader is node and name not in kept),
        )
        for node in nodes
    )


def constants_of(graph: ir.Graph) -> dict[str, Tensor]:
    """The constants of a graph by name; integers of 8 bits as float32, since gradients flow only through those."""
    found = {}
    for name, value in graph.initializers.items():
        array = value.const_value.numpy() if value.const_value is not None else None
        if array is not None:
            small = array.dtype.kind in "iu" and array.dtype.itemsize == 1
            found[name] = torch.tensor(array.astype("float32") if small else array)
    return found


def unchanged(_name: str, value: Tensor) -> Tensor:
    """The value itself."""
    return value


def run_instructions(
    instructions: Sequence[Instruction], values: dict[str, Tensor], changed: Change = unchanged
) -> None:
    """Compute all nodes in order.

    Args:
        instructions: in an order in which each finds what it reads.
        values: by name; grows by what is computed, and shrinks by what nobody reads any more.
        changed: what is put in the place of a value that was computed, of its name and itself.
    """
    for step in instructions:
        found = step.compute(*(values[name] if name else None for name in step.inputs))
        for name, value in zip(step.outputs, found if isinstance(found, tuple) else (found,), strict=True):
            values[name] = changed(name, value)
        for name in step.spent:
            values.pop(name, None)
