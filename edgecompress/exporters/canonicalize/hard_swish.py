"""HardSwish as the product that ONNX defines it to be."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.exporters.graph import node, substitute
from edgecompress.step import StepResult


def unfold_hard_swish(model: ir.Model) -> StepResult[ir.Model]:
    """Write HardSwish(x) as x HardSigmoid(x), slope 1/6 and offset 1/2, as the operator is defined.

    ONNX Runtime does the same with a float model. On integers a HardSigmoid is a Clip, and the product
    has a kernel; HardSwish has none.
    """
    unfolded = model.clone()
    changes: list[str] = []
    for swish in list(unfolded.graph):
        if swish.op_type == "HardSwish" and swish.domain in ("", "ai.onnx"):
            gate = node(
                "HardSigmoid", [swish.inputs[0]], f"{swish.name}/gate", f"{swish.name}/gate", alpha=1 / 6, beta=0.5
            )
            gate.outputs[0].shape, gate.outputs[0].type = swish.outputs[0].shape, swish.outputs[0].type
            product = ir.node("Mul", [swish.inputs[0], gate.outputs[0]], name=swish.name)
            substitute(unfolded.graph, swish, [gate, product])
            changes.append(f"{swish.name}: HardSwish became HardSigmoid and Mul")
    return StepResult(model=unfolded, changes=tuple(changes))
