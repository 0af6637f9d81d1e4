"""ONNX files by layer: weights, multiply-accumulates, and the share of the time that ONNX Runtime's profiler sees."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.arrays import Inputs
from edgecompress.data.dummy_inputs import dummy_inputs, free_dimensions, input_specs
from edgecompress.diagnosis.layers import Inspection, Layer
from edgecompress.errors import InputError, first_line
from edgecompress.exporters.macs import count_macs
from edgecompress.quantization.deduplication import stored_constant
from edgecompress.runtime import open_session, to_bytes
from edgecompress.timing.profiling import layer_times, node_times

Stored = dict[ir.Value, tuple[ir.TensorProtocol, ...]]
NAMED = 3
"""Most of the layers without a figure that a note names."""


def onnx_layers(model: bytes, inputs: Inputs, *, threads: int = 1) -> Inspection:
    """The layers of an ONNX file, quantized or not, with what each takes of one call.

    Args:
        model: the file.
        inputs: of one call, by name.
        threads: intra-op threads.

    Raises:
        EdgecompressError: ONNX Runtime refuses the file.
    """
    graph_model = with_own_names(model)
    layers = dict(layers_of(graph_model.graph))
    macs = count_macs(graph_model, inputs)
    times = node_times(to_bytes(graph_model), inputs, threads=threads)
    inside = {str(node.name) for node in _nodes(graph_model.graph) if node.graph is not graph_model.graph}
    total = sum(ms for name, ms in times.items() if name not in inside)  # an If's time is that of its branch, too
    own = layer_times(list(layers), times)
    shares = {name: ms / total for name, ms in own.items()} if total else {}
    found = tuple(replace(layer, macs=macs.get(layer.name), share=shares.get(layer.name)) for layer in layers.values())
    names = {layer.name for layer in found}
    return Inspection(
        layers=found,
        other_macs=sum(count or 0 for name, count in macs.items() if name not in names),
        latency_ms=total,
        other_share=1 - sum(shares.values()),
        notes=(*_uncounted(graph_model.graph, macs), *without_time(found)),
    )


def declared_layers(model: bytes) -> Inspection:
    """The same on made-up inputs of the shapes that the file declares, a dynamic batch being 1.

    Where these do not tell the shapes, or the file does not run, the layers are neither counted nor timed.
    """
    try:
        specs = input_specs(open_session(model, 1))
        if free := free_dimensions(specs):
            return _bare(model, f"the size of {', '.join(free)} is not fixed; give calibration data")
        return onnx_layers(model, dummy_inputs(specs, 1))
    except InputError as error:
        return _bare(model, f"{error}")
    except Exception as error:  # a session that fails on made-up inputs costs the figures, not the table
        return _bare(model, first_line(error))


def _bare(model: bytes, reason: str) -> Inspection:
    layers = tuple(layer for _, layer in layers_of(with_own_names(model).graph))
    return Inspection(layers=layers, notes=(f"neither counted nor timed: {reason}",))


def with_own_names(model: bytes) -> ir.Model:
    """The model, each of its nodes with a name of its own: the profiler goes by them."""
    graph_model = ir.from_proto(onnx.load_model_from_string(model))
    passes.NameFixPass()(graph_model)
    taken: set[str] = set()
    for node in _nodes(graph_model.graph):  # the pass tells apart the nodes of one graph, not those of its branches
        names = itertools.chain([str(node.name)], (f"{node.name}.{number}" for number in itertools.count(1)))
        node.name = next(name for name in names if name not in taken)
        taken.add(node.name)
    return graph_model


def layers_of(graph: ir.Graph) -> Iterator[tuple[ir.Node, Layer]]:
    """The nodes that hold weights, quantized or not, each as a layer that is neither counted nor timed.

    Those of branches and loop bodies are among them. What is computed only from constants (the slices of an LSTM's
    weights, in another order) is a part of the layer that reads it.
    """
    folded = _computed_of_constants(graph)
    for node in _nodes(graph):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") or (node.inputs and node.outputs[0] in folded):
            continue
        held = [tensor for value in node.inputs for tensor in _stored(value, folded) or () if _is_weight(tensor)]
        constants = list({id(tensor): tensor for tensor in held}.values())
        if constants:
            largest = max(constants, key=lambda tensor: tensor.size)
            yield (
                node,
                Layer(
                    name=str(node.name),
                    kind=node.op_type,
                    shape=tuple(int(size) for size in largest.shape.numpy()),
                    precision=largest.dtype.numpy().name,
                    parameters=sum(tensor.size for tensor in constants),
                    bytes=sum(tensor.nbytes for tensor in constants),
                ),
            )


def _nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    return iter(ir.traversal.RecursiveGraphIterator(graph))


def _computed_of_constants(graph: ir.Graph) -> Stored:
    """The constants behind each value that is computed when the file is loaded."""
    folded: Stored = {}
    for node in _nodes(graph):
        read = node.inputs[:1] if node.op_type == "DequantizeLinear" else node.inputs
        behind = [_stored(value, folded) for value in read if value is not None]
        if (
            behind
            and None not in behind
            and not any(value.type is ir.AttributeType.GRAPH for value in node.attributes.values())
        ):
            folded |= dict.fromkeys(node.outputs, tuple(tensor for part in behind for tensor in part or ()))
    return folded


def _is_weight(tensor: ir.TensorProtocol) -> bool:
    """Whether a constant is learned; scalars and int64 (shapes, axes) are not."""
    return tensor.size > 1 and tensor.dtype is not ir.DataType.INT64


def _stored(value: ir.Value | None, folded: Stored) -> tuple[ir.TensorProtocol, ...] | None:
    """The constants behind an input; None where it is computed of more than these."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(stored_constant(value))
    return folded.get(value) if tensor is None else (tensor,)


def _uncounted(graph: ir.Graph, macs: Mapping[str, int | None]) -> Iterator[str]:
    kinds = Counter(node.op_type for node in graph if macs[str(node.name)] is None)
    if kinds:
        yield f"not counted: {', '.join(f'{kind} ({count})' for kind, count in kinds.most_common())}"


def without_time(layers: Sequence[Layer]) -> tuple[str, ...]:
    """A note on the layers that the profiler does not tell apart from others."""
    names = [layer.name for layer in layers if layer.share is None]
    return (f"without a time of their own, folded or fused into others: {enumerated(names)}",) if names else ()


def enumerated(names: Sequence[str]) -> str:
    """The first few names, and how many more there are.

    >>> enumerated(["a", "b"]), enumerated(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
