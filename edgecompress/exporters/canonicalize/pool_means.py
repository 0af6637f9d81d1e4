"""Means over height and width become GlobalAveragePool, for which ONNX Runtime has an integer kernel."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.graph import axes_of, insert_after
from edgecompress.step import StepResult


def pool_means(model: ir.Model) -> StepResult[ir.Model]:
    """Write a mean over height and width as GlobalAveragePool.

    PyTorch's ``adaptive_avg_pool2d(x, 1)`` and ``x.mean((2, 3))`` are exported as ReduceMean, for which
    ONNX Runtime has no fused integer kernel; it has one for GlobalAveragePool.

    The argument is not modified; nodes without a name get one, since the later steps go by names.
    """
    rewritten = model.clone()
    passes.NameFixPass()(rewritten)
    names: list[str] = []
    for node in list(rewritten.graph):
        if node.op_type == "ReduceMean" and _is_spatial(node):
            _pool(rewritten.graph, node)
            names.append(str(node.name))
    return StepResult(model=rewritten, changes=tuple(f"{name}: ReduceMean became GlobalAveragePool" for name in names))


def _is_spatial(node: ir.Node) -> bool:
    source = node.inputs[0]
    if source is None or source.shape is None or len(source.shape) != 4:
        return False
    return sorted(axis % 4 for axis in axes_of(node)) == [2, 3]


def _pool(graph: ir.Graph, mean: ir.Node) -> None:
    pool = ir.node("GlobalAveragePool", [mean.inputs[0]], name=mean.name)
    keeps = mean.attributes.get_int("keepdims", 1)
    pool.outputs[0].name = f"{mean.name}/pool"
    last = pool if keeps else ir.node("Flatten", [pool.outputs[0]], {"axis": 1}, name=f"{mean.name}/flatten")
    insert_after(graph, mean, [pool] if keeps else [pool, last])
    old, new = mean.outputs[0], last.outputs[0]
    new.name, new.shape, new.type = old.name, old.shape, old.type
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    graph.remove(mean, safe=True)
