"""HardSigmoid without a kernel: the same integers under another scale and zero point.

clip(a x + b, 0, 1) of x = s (q - z) is a s (q' - z') with z' = z - b / (a s) and q' = q between the codes of
0 and 1. Where b / (a s) is a whole number nothing is rounded, and the operator costs a Clip on integers, or
nothing. HardSwish is x times that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgecompress.calibration.schemes import QuantParams, Scheme
from edgecompress.quantization.operators import RULES, Role
from edgecompress.quantization.placement import Placement


def align_thresholds(
    graph: ir.Graph, placement: Placement, params: Mapping[str, QuantParams], scheme: Scheme
) -> dict[str, QuantParams]:
    """Parameters under which the lower threshold of each placed HardSigmoid is a code of its input.

    What only the HardSigmoid, and a product with it, reads needs no codes below that threshold; what
    only the HardSigmoid reads needs none above the upper one.
    """
    aligned = dict(params)
    placed = set(placement.placed)
    for node in graph:
        source = node.inputs[0] if node.op_type == "HardSigmoid" and node.name in placed else None
        name = "" if source is None else str(_root(source, placed).name)
        if source is None or name not in params:
            continue
        before, (low_threshold, high_threshold) = aligned[name], thresholds(node)
        low = min(-float(before.zero_point) * float(before.scale), low_threshold)
        high = (scheme.quant_max - float(before.zero_point)) * float(before.scale)
        readers = {user for user, _ in source.uses()}
        if name == source.name and not source.is_graph_output() and _ends_here(readers, node):
            low, high = min(low_threshold, 0.0), high if len(readers) > 1 else min(high, high_threshold)
        aligned[name] = _on_grid(low, max(high, 0.0), -low_threshold, scheme)
    return aligned


def thresholds(node: ir.Node) -> tuple[float, float]:
    """Inputs at which a HardSigmoid leaves 0 and reaches 1."""
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return -beta / alpha, (1 - beta) / alpha


def relabelled(node: ir.Node, params: QuantParams) -> QuantParams:
    """What the integers of a HardSigmoid's input mean as those of its output."""
    low, _ = thresholds(node)
    alpha = node.attributes.get_float("alpha", 0.2)
    zero = np.clip(int(params.zero_point) + round(low / float(params.scale)), 0, 255)
    return QuantParams(scale=np.asarray(alpha * params.scale, np.float32), zero_point=np.array(zero, np.uint8))


def _root(value: ir.Value, placed: set[str]) -> ir.Value:
    """The value whose pair holds the integers that ``value`` is passed."""
    producer = value.producer()
    if producer is None or str(producer.name) not in placed or RULES[producer.op_type].role is not Role.PASSTHROUGH:
        return value
    source = producer.inputs[0]
    assert source is not None
    return _root(source, placed)


def _ends_here(readers: set[ir.Node], node: ir.Node) -> bool:
    """Whether all readers but the HardSigmoid multiply by its result."""
    return all(reader is node or (reader.op_type == "Mul" and node.outputs[0] in reader.inputs) for reader in readers)


def _on_grid(low: float, high: float, threshold: float, scheme: Scheme) -> QuantParams:
    """Parameters that cover ``low`` to ``high`` with a whole number of steps from -``threshold`` to 0."""
    scale = (high - low) / scheme.quant_max
    steps = int(threshold / scale)
    scale = threshold / steps if steps else scale
    zero = min(round(-low / scale), scheme.quant_max)
    return QuantParams(scale=np.array(scale, np.float32), zero_point=np.array(zero, np.uint8))
