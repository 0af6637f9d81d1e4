"""What ONNX Runtime made of a quantized graph, read from the graph that its optimizer leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.quantization.operators import RULES, Role
from edgecompress.quantization.placement import Placement
from edgecompress.quantization.qdq_pairs import floats_name
from edgecompress.runtime import open_session
from edgecompress.step import Refusal
from edgecompress.system.scratch import scratch_folder

INTEGER_OPS = frozenset(rule.integer_op for rule in RULES.values() if rule.integer_op) | {
    "QLinearAveragePool",
    "QLinearMatMul",
    "QLinearWhere",
    "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM",
}
STRAYED = {
    False: "was meant to be integer, but ONNX Runtime did not fuse it",
    True: "was meant to stay float, but ONNX Runtime made it integer",
}


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Operators of the float graph by type, as ONNX Runtime runs them after quantization.

    ``integer`` and ``floating`` count them; ``unfused`` names those that were meant to be integer and
    are not, ``taken`` those that were meant to be float and are not; ``kernels`` counts what the optimized graph holds.
    """

    integer: Mapping[str, int]
    floating: Mapping[str, int]
    unfused: tuple[Refusal, ...]
    taken: tuple[Refusal, ...]
    kernels: Mapping[str, int]


def read_fusion(
    float_model: ir.Model, quantized: ir.Model, placement: Placement, dynamic: Sequence[str] = ()
) -> Fusion:
    """Compare what was meant with what ONNX Runtime runs.

    Args:
        float_model: what was quantized.
        quantized: what became of it.
        placement: what was to become integer by calibration.
        dynamic: names of the layers that were to be integer without it.
    """
    optimized = optimized_graph(quantized)
    found = {str(node.name): node.op_type in INTEGER_OPS for node in optimized}
    wanted = {*placement.placed, *placement.folded, *dynamic}
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    strays: dict[bool, list[Refusal]] = {True: [], False: []}
    for node in float_model.graph:
        name, meant = str(node.name), node.name in wanted
        became = found.get(name, meant) if _computes(node) else meant  # a move is the same on both
        became = became and floats_name(f"{name}/weight") not in found  # its weights are turned back at each call
        counts[became][node.op_type] += 1
        if became is not meant:
            strays[became].append(Refusal(name=name, kind=node.op_type, reason=STRAYED[became]))
    return Fusion(
        integer=counts[True],
        floating=counts[False],
        unfused=tuple(strays[False]),
        taken=tuple(strays[True]),
        kernels=Counter(node.op_type for node in optimized),
    )


def _computes(node: ir.Node) -> bool:
    rule = RULES.get(node.op_type)
    return rule is None or rule.role is not Role.PASSTHROUGH


def optimized_graph(model: ir.Model) -> ir.Graph:
    """The graph of a model as ONNX Runtime's optimizer leaves it, before the layout transformations."""
    with scratch_folder() as folder:
        path = folder / "optimized.onnx"
        open_session(model, threads=1, optimized=str(path), arithmetic="native")
        return ir.load(path).graph
