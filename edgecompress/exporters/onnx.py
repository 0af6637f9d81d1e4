"""Export: a captured program becomes an ONNX model with names that a user recognizes."""

from __future__ import annotations

import ast
import re
from collections import Counter

import onnx_ir as ir
import onnx_ir.passes.common as passes
import torch
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecompress.errors import ModelError, first_line
from edgecompress.exporters.output_names import names_of
from edgecompress.recipe.tables import Export
from edgecompress.system.quiet import quiet_torch

SCOPES = "pkg.torch.onnx.name_scopes"


def to_onnx(program: ExportedProgram, export: Export) -> ir.Model:
    """The ONNX model of a captured program, by the dynamo exporter.

    Nodes carry the path of the module that they come from (``features.0.1``, ``layer1.0/add``), dynamic batch
    dimensions are called ``batch``, further ones as ``export.dynamic_axes`` says, outputs are called by their
    key in a dict, or ``output``. Source paths and stack traces, which the exporter writes into the file, are
    taken out.

    Raises:
        ModelError: the exporter has no translation for an operator, which the message names.
    """
    _even_limits(program)
    try:
        with quiet_torch():
            exported = torch.onnx.export(
                program, dynamo=True, verbose=False, opset_version=export.opset, output_names=output_names(program)
            )
    except Exception as error:
        raise ModelError(_explain(error)) from error
    assert exported is not None
    model: ir.Model = exported.model
    # An input that is also an output comes out as ``x_orig``.
    for value, name in zip(model.graph.inputs, program.graph_signature.user_inputs, strict=True):
        value.name = str(name)
    _name_nodes(model.graph)
    _name_dimensions(model.graph, export)
    passes.ClearMetadataAndDocStringPass()(model)
    for value in model.graph.outputs:
        value.metadata_props.clear()
    model.producer_name, model.producer_version = "edgecompress", None
    return model


def _even_limits(program: ExportedProgram) -> None:
    """Write both limits of a clamp as floats where one is: the exporter knows no clamp between two kinds of number."""
    for node in program.graph.nodes:
        if node.target is torch.ops.aten.clamp.default and any(isinstance(limit, float) for limit in node.args[1:]):
            limits = (float(limit) if isinstance(limit, int) else limit for limit in node.args[1:])
            node.args = (node.args[0], *limits)


def output_names(program: ExportedProgram) -> list[str]:
    """Keys for a dict of outputs, ``output`` for a single tensor, ``output_0``, ... for a tuple."""
    spec = program.call_spec.out_spec
    assert spec is not None
    skeleton = pytree.tree_unflatten(list(range(spec.num_leaves)), spec)
    return names_of(skeleton, program.graph_signature.user_inputs)


def _explain(error: BaseException) -> str:
    """The operator that the exporter could not translate, and the innermost reason."""
    chain = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    operators = [found[1] for link in chain if (found := re.search(r"target=([\w.]+)", str(link)))]
    operator = operators[0] if operators else "the model"
    fix = "write that part of the model in other operators"
    return f"{operator} cannot be written as ONNX: {first_line(chain[-1])}; {fix}"


def _name_nodes(graph: ir.Graph) -> None:
    """Name each node, and the value that it computes, after the module that it comes from; in branches, too."""
    counts: Counter[str] = Counter()
    taken = {str(value.name) for value in (*graph.inputs, *graph.outputs, *graph.initializers.values())}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        name = _module_path(node)
        counts[name] += 1
        node.name = name if counts[name] == 1 else f"{name}.{counts[name]}"
        if len(node.outputs) == 1 and not node.outputs[0].is_graph_output() and node.name not in taken:
            node.outputs[0].name = node.name


def _module_path(node: ir.Node) -> str:
    """``features.0.1`` where a weight tells it; else the module's path and the operator (``layer1.0/add``)."""
    for value in node.inputs:
        if value is not None and value.is_initializer() and str(value.name).endswith(".weight"):
            return str(value.name).removesuffix(".weight")
    scopes = [scope for scope in ast.literal_eval(node.metadata_props.get(SCOPES, "[]")) if scope]
    module = scopes[-2] if len(scopes) > 1 else ""
    operator = re.sub(r"_\d+$", "", scopes[-1] if scopes else str(node.name))
    return f"{module}/{operator}".lstrip("/")


def _name_dimensions(graph: ir.Graph, export: Export) -> None:
    """Give the symbols of ``torch.export`` (``s77``) the names that the capture asked for."""
    names: dict[str, str] = {}
    for value in graph.inputs:
        further = export.dynamic_axes.get(str(value.name), {}).items()
        asked = {export.batch_axes.get(str(value.name), 0): "batch"} | {int(axis): label for axis, label in further}
        for axis, dimension in enumerate(value.shape or ()):
            if isinstance(dimension, ir.SymbolicDim) and dimension.value is not None and axis in asked:
                names.setdefault(dimension.value, asked[axis])
    if not names:
        return
    symbol = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names))
    for value in [*graph.inputs, *(output for node in graph for output in node.outputs)]:
        if value.shape is not None:
            value.shape = ir.Shape([_renamed(dimension, symbol, names) for dimension in value.shape])


def _renamed(dimension: int | ir.SymbolicDim, symbol: re.Pattern[str], names: dict[str, str]) -> int | str | None:
    if isinstance(dimension, int) or dimension.value is None:
        return dimension if isinstance(dimension, int) else None
    return symbol.sub(lambda match: names[match[0]], str(dimension.value))
