"""Bodies: the graphs inside of If, Loop and Scan, each taken out as a model of its own, and put back.

A body reads what its operator hands it, and whatever values around it it names. Taken out, it has inputs for both, and
the constants that it reads from around it are its own. So all that works on a model works on a body.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnx_ir.analysis import analyze_implicit_usage

from edgecompress.arrays import Inputs

OPERATORS = ("If", "Loop", "Scan")
LOOP_CONTROLS = 2
"""The first inputs of a loop's body: the number of the run, and the condition."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """One body.

    ``name`` is that of its operator and of the attribute that holds it, ``owner/attribute``. The inputs of ``model``
    are those of the body, ``given`` in number, and then the values around it that are no constants, under their names.
    """

    name: str
    owner: str
    attribute: str
    given: int
    model: ir.Model

    @property
    def captured(self) -> tuple[str, ...]:
        """Names of the values around it that it reads, constants left out."""
        return tuple(str(value.name) for value in self.model.graph.inputs[self.given :])

    @property
    def fault(self) -> str | None:
        """Why the model cannot be run by itself; None where it can."""
        for value in self.model.graph.inputs:
            if value.type is not None and not isinstance(value.type, ir.TensorType):
                return f"{value.name!r}, which it reads, is no tensor"
        if any(value.producer() is None for value in self.model.graph.outputs):
            return "an output of it is not computed in it"
        return None


def bodies_of(model: ir.Model) -> Iterator[Body]:
    """The bodies of a model's operators, in the order of the graph; those inside of bodies are left to these.

    Args:
        model: not modified; its nodes have names.
    """
    outside = analyze_implicit_usage(model.graph)
    for owner in model.graph:
        if owner.op_type not in OPERATORS or owner.domain not in ("", "ai.onnx"):
            continue
        for attribute in owner.attributes.values():
            if attribute.type is ir.AttributeType.GRAPH:
                inner = attribute.as_graph()
                read = sorted(outside[inner], key=lambda value: str(value.name))
                yield _taken_out(model, owner, attribute, read)


def _taken_out(model: ir.Model, owner: ir.Node, attribute: ir.Attr, read: list[ir.Value]) -> Body:
    graph = attribute.as_graph().clone(allow_outer_scope_values=True)
    given = len(graph.inputs)
    if owner.op_type != "If":
        for index, (value, handed) in enumerate(zip(graph.inputs, owner.inputs, strict=False)):
            _declare(value, handed, owner.op_type, index)
    stand_ins = {value: _stand_in(value) for value in read}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for index, around in enumerate(node.inputs):
            if around is not None and around in stand_ins:
                node.replace_input_with(index, stand_ins[around])
    for stand_in in stand_ins.values():
        if stand_in.const_value is None:
            graph.inputs.append(stand_in)
        else:
            graph.register_initializer(stand_in)
    graph.opset_imports.update(model.graph.opset_imports)
    functions = [function.clone() for function in model.functions.values()]
    return Body(
        name=f"{owner.name}/{attribute.name}",
        owner=str(owner.name),
        attribute=attribute.name,
        given=given,
        model=ir.Model(graph, ir_version=model.ir_version, functions=functions),
    )


def _declare(value: ir.Value, handed: ir.Value | None, operator: str, index: int) -> None:
    """Give an input of a body the type of what it is handed; in a loop, states may change their sizes."""
    if value.type is None and handed is not None:
        value.type = handed.type
    if operator == "Loop" and index < LOOP_CONTROLS:
        value.shape = ir.Shape([]) if value.shape is None else value.shape
        value.type = value.type or ir.TensorType((ir.DataType.INT64, ir.DataType.BOOL)[index])
    elif operator == "Loop":
        known = value.shape if value.shape is not None else handed.shape if handed is not None else None
        value.shape = None if known is None else ir.Shape([None] * len(known))


def declared(model: ir.Model, inputs: Inputs) -> ir.Model:
    """A copy of a body's model with types and shapes, those of its inputs by arrays where nothing else tells them.

    What a loop has made may change its shape from round to round, so that shape inference tells none.
    """
    known = model.clone()
    for value in known.graph.inputs:
        array = inputs[str(value.name)]
        value.type = value.type or ir.TensorType(ir.DataType.from_numpy(array.dtype))
        value.shape = ir.Shape([None] * array.ndim) if value.shape is None else value.shape
    passes.ShapeInferencePass()(known)
    return known


def _stand_in(value: ir.Value) -> ir.Value:
    """A value of the body's own for one around it; a constant where that is one."""
    shape = None if value.shape is None else list(value.shape)
    return ir.Value(
        name=value.name,
        type=value.type,
        shape=None if shape is None else ir.Shape(shape),
        const_value=ir.convenience.get_const_tensor(value),
    )


def put_back(model: ir.Model, body: Body, made: ir.Model) -> None:
    """Let an operator run what was made of its body.

    Args:
        model: changed in place; a copy of the one that the body was taken out of. What is around the body may have been
            rewritten, and reads what stands there now.
        body: as it was taken out.
        made: with the same inputs and outputs.
    """
    owner = next(node for node in model.graph if node.name == body.owner)
    before = owner.attributes[body.attribute].as_graph()
    around = _read_now(body, before)
    graph = made.graph.clone()
    for stand_in in graph.inputs[body.given :]:
        stand_in.replace_all_uses_with(around[str(stand_in.name)])
    del graph.inputs[body.given :]
    for name, value in list(graph.initializers.items()):
        if name in around and value.const_value is ir.convenience.get_const_tensor(around[name]):
            value.replace_all_uses_with(around[name])
            del graph.initializers[name]
    known = {name for part in (before, *before.subgraphs()) for name in _names(part)}
    _set_apart(graph, known, _free_prefix(model, body.name))
    graph.name = before.name
    graph.opset_imports.clear()
    owner.attributes[body.attribute] = ir.AttrGraph(body.attribute, graph)
    for node in ir.traversal.RecursiveGraphIterator(before):  # or what it read would count as read
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)


def _read_now(body: Body, before: ir.Graph) -> dict[str, ir.Value]:
    """What stands in a copy for each value that the body reads from around it, by the value's name."""
    were = {str(node.outputs[0].name): node for node in ir.traversal.RecursiveGraphIterator(body.model.graph)}
    own = {name for part in (before, *before.subgraphs()) for name in _names(part)}
    return {
        str(was.name): now
        for node in ir.traversal.RecursiveGraphIterator(before)
        for was, now in zip(were[str(node.outputs[0].name)].inputs, node.inputs, strict=True)
        if was is not None and now is not None and str(was.name) not in own
    }


def _names(graph: ir.Graph) -> Iterator[str]:
    """The names of the values and nodes of one graph."""
    yield from (str(value.name) for value in graph.inputs)
    yield from graph.initializers
    for node in graph:
        yield str(node.name)
        yield from (str(value.name) for value in node.outputs)


def _free_prefix(model: ir.Model, name: str) -> str:
    """What no name of a model begins with: the name of the body, numbered where it has to be."""
    names = [each for part in (model.graph, *model.graph.subgraphs()) for each in _names(part)]
    prefixes = itertools.chain([f"{name}/"], (f"{name}.{count}/" for count in itertools.count(1)))
    return next(prefix for prefix in prefixes if not any(each.startswith(prefix) for each in names))


def _set_apart(graph: ir.Graph, known: set[str], prefix: str) -> None:
    """Put a prefix before what has a new name: around the body, and in other bodies, there may be one like it."""
    for part in (graph, *graph.subgraphs()):
        for name, value in list(part.initializers.items()):
            if name not in known:
                value.name = f"{prefix}{name}"
        for node in part:
            if str(node.name) not in known:
                node.name = f"{prefix}{node.name}"
            for value in node.outputs:
                if str(value.name) not in known:
                    value.name = f"{prefix}{value.name}"
