"""Dynamic INT8 of recurrent layers: LSTM runs in ONNX Runtime's DynamicQuantizeLSTM."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgecompress.exporters.graph import constant, initializer, substitute
from edgecompress.quantization.weights import safe_params

DOMAIN = "com.microsoft"
GATES = {"W": 1, "R": 2}
"""The weights of the input and of the hidden state, and their positions; float32 (directions, 4 hidden, columns)."""


def why_no_lstm(lstm: ir.Node) -> str | None:
    """The reason to leave an LSTM float, or None."""
    if lstm.attributes.get_int("layout", 0):
        return "with the batch first (layout 1) it has no dynamic kernel"
    for position in GATES.values():
        weight = constant(lstm.inputs[position])
        if weight is None:
            return "its weights are computed, not constant"
        if weight.dtype != np.float32:
            return "it is not float32"
    return None


def quantize_lstm(model: ir.Model, lstm: ir.Node) -> None:
    """Put DynamicQuantizeLSTM in the place of an LSTM for which :func:`why_no_lstm` gave no reason.

    Weights are int8, symmetric, with a scale for each row of each gate and direction; input and hidden
    state are quantized at every time step. Gates, bias and cell state stay float.
    """
    inputs = [*lstm.inputs, *[None] * (8 - len(lstm.inputs))]
    tail: list[ir.Value] = []
    for letter, position in GATES.items():
        codes, scale, zero_point = _store(model.graph, f"{lstm.name}/{letter}", lstm.inputs[position])
        inputs[position] = codes
        tail += [scale, zero_point]
    attributes = {name: value for name, value in lstm.attributes.items() if name != "layout"}
    made = ir.Node(
        DOMAIN,
        "DynamicQuantizeLSTM",
        [*inputs, *tail],
        attributes.values(),
        num_outputs=len(lstm.outputs),
        name=lstm.name,
    )
    substitute(model.graph, lstm, [made])
    model.opset_imports[DOMAIN] = 1


def _store(graph: ir.Graph, name: str, value: ir.Value | None) -> tuple[ir.Value, ir.Value, ir.Value]:
    """Codes (directions, columns, 4 hidden), scale and zero point (directions, 4 hidden)."""
    weight = constant(value)
    assert weight is not None
    params = [safe_params(direction, axis=0) for direction in weight]
    codes = [own.quantize(direction).T for own, direction in zip(params, weight, strict=True)]
    return (
        initializer(graph, f"{name}_quantized", np.stack(codes)),
        initializer(graph, f"{name}/scale", np.stack([own.scale for own in params])),
        initializer(graph, f"{name}/zero_point", np.stack([own.zero_point for own in params])),
    )
