"""Kernels: what ONNX Runtime really runs for the artifact on this machine, and what share of the time each takes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edgecompress.arrays import Inputs
from edgecompress.timing.profiling import NodeTime, profile_nodes

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
DYNAMIC = "DynamicQuantize"
"""How the operators begin that read floats and compute in integers."""
NO_NUMBERS = ("Shape", "Size", "If", "Loop", "Scan")
"""Operators that read no number of their input, or leave that to the nodes inside of them."""
CHOOSING = ("Where", "EmbedLayerNormalization")
"""Operators whose first input is a condition or indices, and whose numbers are those that they give."""
INTEGERS = ("uint8", "int8")
FLOATS = ("float", "float16", "double", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The nodes of one operator that read numbers of one kind.

    ``numbers`` is ``integer`` (8 bits), ``float``, ``conversion`` from one to the other, or ``other`` (shapes, masks,
    indices); ``share`` is that of the latency,
    0 to 1.
    """

    operator: str
    numbers: str
    nodes: int
    share: float


def measure_kernels(artifact: bytes, inputs: Inputs, threads: int) -> list[Kernel]:
    """The kernels of a model, that which takes longest first.

    Args:
        artifact: bytes of the ONNX file.
        inputs: one call's.
        threads: intra-op threads of the session.
    """
    spent: dict[tuple[str, str], list[float]] = defaultdict(list)
    for node in profile_nodes(artifact, inputs, threads=threads):
        spent[node.operator, numbers_of(node)].append(node.median_ms)
    whole = sum(sum(times) for times in spent.values()) or 1.0
    kernels = (
        Kernel(operator=operator, numbers=numbers, nodes=len(times), share=sum(times) / whole)
        for (operator, numbers), times in spent.items()
    )
    return sorted(kernels, key=lambda kernel: kernel.share, reverse=True)


def numbers_of(node: NodeTime) -> str:
    """What kind of numbers a node computes with, as a :class:`Kernel` has it.

    The types of its tensors say so. The first that it reads need not be data: QLinearConcat begins with a scale,
    QLinearWhere with a condition; what these give tells.
    """
    reads, gives = next(iter(node.reads), ""), next(iter(node.gives), "")
    if node.operator in CONVERSIONS or (node.operator == "Cast" and _crosses(reads, gives)):
        return "conversion"
    if node.operator in NO_NUMBERS:
        return "other"
    if reads in INTEGERS or gives in INTEGERS or node.operator.startswith(DYNAMIC):
        return "integer"
    return "float" if (gives if node.operator in CHOOSING else reads) in FLOATS else "other"


def _crosses(reads: str, gives: str) -> bool:
    return (reads in INTEGERS and gives in FLOATS) or (reads in FLOATS and gives in INTEGERS)
