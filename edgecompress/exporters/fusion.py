"""What ONNX Runtime made of a quantized graph, read from the graph that its optimizer leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.exporters.placement import Placement
from edgecompress.exporters.rules import RULES, Role
from edgecompress.runtime import open_session
from edgecompress.scratch import scratch_folder
from edgecompress.step import Refusal

INTEGER_OPS = frozenset(rule.integer_op for rule in RULES.values() if rule.integer_op) | {
    "QLinearMatMul",
    "DynamicQuantizeMatMul",
}


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Operators of the float graph by type, as ONNX Runtime runs them after quantization.

    ``integer`` and ``floating`` count them; ``unfused`` names those that were meant to be integer and
    are not; ``kernels`` counts what the optimized graph holds.
    """

    integer: Mapping[str, int]
    floating: Mapping[str, int]
    unfused: tuple[Refusal, ...]
    kernels: Mapping[str, int]


def read_fusion(float_model: ir.Model, quantized: ir.Model, placement: Placement) -> Fusion:
    """Compare what was meant with what ONNX Runtime runs."""
    optimized = optimized_graph(quantized)
    left_float = {str(node.name) for node in optimized if node.op_type not in INTEGER_OPS}
    wanted = set(placement.placed) | set(placement.folded)
    integer: Counter[str] = Counter()
    floating: Counter[str] = Counter()
    unfused: list[Refusal] = []
    for node in float_model.graph:
        name, rule = str(node.name), RULES.get(node.op_type)
        missed = name in left_float and rule is not None and rule.role is not Role.PASSTHROUGH
        if name in wanted and missed:
            unfused.append(Refusal(name=name, kind=node.op_type, reason="ONNX Runtime did not fuse it"))
        (integer if name in wanted and not missed else floating)[node.op_type] += 1
    kernels = Counter(node.op_type for node in optimized)
    return Fusion(integer=integer, floating=floating, unfused=tuple(unfused), kernels=kernels)


def optimized_graph(model: ir.Model) -> ir.Graph:
    """The graph of a model as ONNX Runtime's optimizer leaves it, before the layout transformations."""
    with scratch_folder() as folder:
        path = folder / "optimized.onnx"
        open_session(model, threads=1, optimized=str(path))
        return ir.load(path).graph
