"""The network as ONNX Runtime runs it: operators in order, what each reads, its numbers, and its share of the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.diagnosis.kernels import numbers_of
from edgecompress.diagnosis.onnx_layers import with_own_names
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import to_bytes
from edgecompress.timing.profiling import APPENDED, NodeTime, names_of, profile_nodes


@dataclass(frozen=True, kw_only=True)
class DrawnOperator:
    """One operator.

    Attributes:
        layer: its name.
        operator: in ONNX Runtime's words.
        numbers: ``integer``, ``float``, ``conversion`` or ``other``, as a :class:`Kernel` has them.
        shape: of its first output, for one sample; empty where it is not known.
        share: of the latency, 0 to 1; None where it has no time of its own.
        reads: the places in the list of the operators whose outputs it reads.
    """

    layer: str
    operator: str
    numbers: str
    shape: tuple[int, ...]
    share: float | None
    reads: tuple[int, ...]


def draw_network(artifact: bytes, inputs: Inputs, threads: int) -> list[DrawnOperator]:
    """The operators of the graph that ONNX Runtime's optimizer leaves, in the order in which they run.

    What the layouts of a CPU add is left out: the shares add up to less than 1 then. So are the insides of branches.

    Args:
        artifact: bytes of the ONNX file.
        inputs: one call's.
        threads: intra-op threads of the session.
    """
    model = with_own_names(artifact)
    times = _by_name(profile_nodes(to_bytes(model), inputs, threads=threads))
    inside = {str(node.name) for node in ir.traversal.RecursiveGraphIterator(model.graph)}
    inside -= {str(node.name) for node in model.graph}
    whole = sum(time.median_ms for name, found in times.items() if name not in inside for time in found) or 1.0
    nodes = [*optimized_graph(model)]
    places = {output: place for place, node in enumerate(nodes) for output in node.outputs}
    shapes = _shapes(model, inputs)
    return [_drawn(node, times, whole, places, shapes) for node in nodes]


def _shapes(model: ir.Model, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    """The shapes of values by their names, where they can be inferred of the inputs'."""
    proto = ir.to_proto(model)
    for declared in proto.graph.input:
        dims = declared.type.tensor_type.shape.dim
        for dim, size in zip(dims, inputs[declared.name].shape if declared.name in inputs else (), strict=False):
            dim.dim_value = size
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # of what ONNX cannot infer, the profiler tells the shapes
        return {}
    found = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.output)
    }
    return {name: shape for name, shape in found.items() if all(shape)}


def _by_name(nodes: list[NodeTime]) -> dict[str, list[NodeTime]]:
    found: dict[str, list[NodeTime]] = defaultdict(list)
    for node in nodes:
        found[APPENDED.sub("", node.name)].append(node)
    return found


def _drawn(
    node: ir.Node,
    times: Mapping[str, list[NodeTime]],
    whole: float,
    places: Mapping[ir.Value, int],
    shapes: Mapping[str, tuple[int, ...]],
) -> DrawnOperator:
    own = next((times[name] for name in names_of(node) if name in times), [])
    return DrawnOperator(
        layer=str(node.name),
        operator=node.op_type,
        numbers=numbers_of(own[0]) if own else "other",
        shape=shapes.get(str(node.outputs[0].name), own[-1].makes if own else ()),
        share=sum(time.median_ms for time in own) / whole if own else None,
        reads=tuple(sorted({places[value] for value in node.inputs if value is not None and value in places})),
    )
