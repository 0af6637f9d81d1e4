"""Names that later steps make up are kept free: what is called like one of them gets another name.

A step calls what it adds after what it belongs to: the integers of ``attn`` are ``attn/q``. A model may have a value
of that name already. Inputs and outputs keep their names, since callers use them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import onnx_ir as ir

from edgecompress.exporters.graph import insert_after, node
from edgecompress.step import StepResult

CONSTANTS = (
    *("axis", "channels", "end", "fill", "first", "high", "low", "rows", "scale", "spread", "weight", "zero_point"),
    *("W", "R"),
)
"""Last words of names that only constants get; where another constant has the name, these are numbered."""
OTHERS = (
    *("bias", "biased", "cast", "clip", "copies", "copy", "correct", "corrected", "dq", "flat", "flatten", "gate"),
    *("input", "input_quantized", "input_scale", "input_zero_point", "mean", "moved", "operand", "ordered", "peak"),
    *("pool", "positive", "product", "q", "quantize", "real", "rest", "row", "scaled", "scales", "shape", "shift"),
    *("shift_column", "sloped", "split", "tile", "tiles", "wanted_mean", "whole"),
)
"""Last words of names of nodes and of what they compute."""
ENDINGS = ("axes", "clipped", "float", "quantized")
"""What is appended with an underscore."""
MADE_UP = re.compile(rf"(?:/(?:{'|'.join((*CONSTANTS, *OTHERS))})|_(?:{'|'.join(ENDINGS)}))(?:\.\d+)?$")
OF_CONSTANTS = re.compile(rf"(?:/(?:{'|'.join((*CONSTANTS, 'bias', 'input'))})|_(?:axes|quantized))(?:\.\d+)?$")
OF_ALL = re.compile(r"zero_points?/")
"""Beginning of the name of a constant that several values share."""

Named = ir.Value | ir.Node


def free_names(model: ir.Model) -> StepResult[ir.Model]:
    """The model with other names for the values and nodes that are called as a later step would call what it adds.

    Where an input or output is in the way, what the name is derived from is renamed. Where that is an input or output
    as well, an Identity parts it from the rest of the graph, which then knows it under another name.
    """
    freed = model.clone()
    changes: list[str] = []
    while (clash := _first_clash(freed.graph)) is not None:
        changes.append(_settle(freed.graph, *clash))
    return StepResult(model=freed, changes=tuple(changes))


def _first_clash(graph: ir.Graph) -> tuple[Named, list[Named]] | None:
    """What is called like something made up, and what that would be derived from.

    Subgraphs stay as they are, so that nothing is derived from what is in them.
    """
    owners: dict[str, list[Named]] = {}
    for named in _members(graph):
        if not _is_apart(named):
            owners.setdefault(str(named.name), []).append(named)
    for named in _everything(graph):
        if OF_ALL.match(str(named.name)) and not _is_constant(named) and not _is_fixed(graph, named):
            return named, []
        for base in _bases(named):
            others = [owner for owner in owners.get(base, ()) if owner is not named]
            if others:
                return named, others
    return None


def _everything(graph: ir.Graph) -> Iterator[Named]:
    """Every value and node, in subgraphs too."""
    for part in (graph, *graph.subgraphs()):
        yield from _members(part)


def _members(graph: ir.Graph) -> Iterator[Named]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for current in graph:
        yield current
        yield from current.outputs


def _bases(named: Named) -> Iterator[str]:
    """The names that a name would be derived from if it were made up."""
    name = str(named.name)
    if _is_constant(named) and OF_CONSTANTS.search(name):
        return
    while (ending := MADE_UP.search(name)) is not None:
        name = name[: ending.start()]
        yield name


def _is_constant(named: Named) -> bool:
    return isinstance(named, ir.Value) and named.is_initializer()


def _is_apart(named: Named) -> bool:
    """Whether a value is an input or output that an Identity parts from the rest: no name is derived from it."""
    if isinstance(named, ir.Node):
        return False
    readers, producer = [user for user, _ in named.uses()], named.producer()
    if producer is None:
        return named.is_graph_input() and all(reader.op_type == "Identity" for reader in readers)
    return named.is_graph_output() and producer.op_type == "Identity" and not readers


def _settle(graph: ir.Graph, named: Named, others: list[Named]) -> str:
    """Rename, or part, one of those that clash; what was done, in words."""
    taken = {str(item.name) for item in _everything(graph)}
    chosen = next(
        (candidate for candidate in (named, *others) if not _is_fixed(graph, candidate)), others[0] if others else named
    )
    name = str(chosen.name)
    free = f"{name}_" if others else f"_{name}"
    while free in taken:
        free = f"{free}_"
    if not isinstance(chosen, ir.Value) or not _is_fixed(graph, chosen):
        chosen.name = free
    elif chosen.producer() is not None:
        _part_output(graph, chosen, free)
    else:
        _part_input(graph, chosen, free)
    return f"{name!r} is called {free!r} inside, since a later step makes up names that begin or end as it does"


def _is_fixed(graph: ir.Graph, named: Named) -> bool:
    """Whether callers of the model know a name."""
    return isinstance(named, ir.Value) and (named in graph.inputs or named in graph.outputs)


def _part_input(graph: ir.Graph, value: ir.Value, name: str) -> None:
    made = node("Identity", [value], name, name)
    made.outputs[0].shape, made.outputs[0].type = value.shape, value.type
    for user, index in list(value.uses()):
        user.replace_input_with(index, made.outputs[0])
    made.replace_input_with(0, value)
    insert_after(graph, None, [made])


def _part_output(graph: ir.Graph, value: ir.Value, name: str) -> None:
    made = node("Identity", [value], str(value.name), name)
    output = made.outputs[0]
    output.shape, output.type = value.shape, value.type
    value.name = name
    for position, known in enumerate(list(graph.outputs)):
        if known is value:
            graph.outputs[position] = output
    graph.append(made)
