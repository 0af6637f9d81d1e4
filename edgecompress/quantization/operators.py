"""The table: per operator, where QuantizeLinear/DequantizeLinear pairs pay in ONNX Runtime's CPU provider.

Measured by ``benchmarks/placement.py`` on ONNX Runtime 1.32, one thread; the tests build every pattern
and read from the runtime's optimized graph that the integer kernel is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """Role of an operator in an integer graph."""

    ANCHOR = "worth quantizing its inputs for"
    CONNECTIVE = "integer where all of its inputs are, or one is and an anchor further down reads the result"
    BRIDGE = "integer where one of its inputs is, and an anchor further down reads the result"
    PASSTHROUGH = "runs on the integers of its input; only their meaning, scale and zero point, may change"
    FLOAT = "stays float"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one operator needs to become ``integer_op`` in ONNX Runtime.

    ``weight`` and ``bias`` are positions of constant inputs. ``float_output`` says that the integer
    kernel can write floats, so that its output needs no pair unless somebody wants integers. ``reason``
    says why an operator stays float.
    """

    role: Role
    integer_op: str = ""
    weight: int | None = None
    bias: int | None = None
    float_output: bool = False
    reason: str = ""


def _float(reason: str) -> Rule:
    return Rule(role=Role.FLOAT, reason=reason)


NO_KERNEL = "ONNX Runtime has no integer kernel for it"
MOVES = (
    *("DepthToSpace", "Expand", "Flatten", "Gather", "MaxPool", "Pad", "Reshape", "Resize", "Slice", "SpaceToDepth"),
    *("Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)
"""Operators that only move values, or choose among them."""
ENLARGING = ("Expand", "Resize", "Tile")
"""Operators that write more values than they read: floats are made of them later only where integers are wanted."""

RULES: dict[str, Rule] = {
    "Conv": Rule(role=Role.ANCHOR, integer_op="QLinearConv", weight=1, bias=2),
    "Gemm": Rule(role=Role.ANCHOR, integer_op="QGemm", weight=1, bias=2, float_output=True),
    "MatMul": Rule(role=Role.ANCHOR, integer_op="MatMulIntegerToFloat", weight=1, float_output=True),
    "Add": Rule(role=Role.CONNECTIVE, integer_op="QLinearAdd"),
    "Mul": Rule(role=Role.CONNECTIVE, integer_op="QLinearMul"),
    "GlobalAveragePool": Rule(role=Role.CONNECTIVE, integer_op="QLinearGlobalAveragePool"),
    "AveragePool": Rule(role=Role.BRIDGE, integer_op="QLinearConv"),
    "Concat": Rule(role=Role.BRIDGE, integer_op="QLinearConcat"),
    "LeakyRelu": Rule(role=Role.BRIDGE, integer_op="QLinearLeakyRelu"),
    "Sigmoid": Rule(role=Role.BRIDGE, integer_op="QLinearSigmoid"),
    "Softmax": Rule(role=Role.BRIDGE, integer_op="QLinearSoftmax"),
    **{op: Rule(role=Role.PASSTHROUGH) for op in (*MOVES, "Clip", "HardSigmoid", "Relu")},
    "ConvTranspose": _float(
        f"{NO_KERNEL}, and its kernel overlaps or is padded, so that no Conv and DepthToSpace replace it"
    ),
    **{
        op: _float(NO_KERNEL)
        for op in (
            *("BatchNormalization", "Div", "Elu", "Erf", "Exp", "Gelu", "GroupNormalization", "HardSwish"),
            *("InstanceNormalization", "LayerNormalization", "Mish", "PRelu", "Pow", "ReduceMean", "ReduceSum"),
            *("RMSNormalization", "Softplus", "Sqrt", "Sub", "Tanh"),
        )
    },
}
UNKNOWN = "ONNX Runtime has no integer kernel for it that is known here"
FUSED = frozenset({*(op for op, rule in RULES.items() if rule.integer_op), "ConvTranspose", "Resize", "Where"})
"""Operators that ONNX Runtime makes integer by itself between DequantizeLinear and QuantizeLinear, to other numbers."""
SATURATING = ("Relu", "Clip")
"""Activations that QuantizeLinear's saturation, or an integer Clip, can stand for."""
