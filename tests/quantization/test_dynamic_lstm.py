"""LSTM layers on int8 weights, against PyTorch's float ones; GRU is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.dynamic import quantize_dynamic
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import execute, open_session, run_session, to_bytes
from tests.exporters.graphs import draw

STEPS, ROWS, INPUTS, HIDDEN = 12, 3, 16, 32
X = draw(STEPS, ROWS, INPUTS)


def _layer(kind: type[nn.Module], bidirectional: bool = False) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(INPUTS, HIDDEN, bidirectional=bidirectional)


def _gates(layer: Any, name: str, order: list[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """PyTorch's (input, forget, cell, output) as ONNX's (input, output, forget, cell), for each direction."""
    suffixes = ("", "_reverse") if layer.bidirectional else ("",)
    parts = [np.split(getattr(layer, f"{name}_l0{suffix}").detach().numpy(), len(order)) for suffix in suffixes]
    return np.stack([np.concatenate([gates[index] for index in order]) for gates in parts])


def _model(layer: Any, operator: str, order: list[int], attributes: str = "") -> ir.Model:
    direction = "bidirectional" if layer.bidirectional else "forward"
    node = f'y, h = {operator}<hidden_size={HIDDEN}, direction="{direction}"{attributes}>(x, w, r, b)'
    header = f"m (float[{STEPS},N,{INPUTS}] x) => (float[T,D,N,H] y, float[D,N,H] h)"
    text = f'<ir_version: 10, opset_import: ["" : 20]> {header} {{ {node} }}'
    proto = onnx.parser.parse_model(text)
    bias = np.concatenate([_gates(layer, "bias_ih", order), _gates(layer, "bias_hh", order)], axis=1)
    constants = {"w": _gates(layer, "weight_ih", order), "r": _gates(layer, "weight_hh", order), "b": bias}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    proto.graph.node[0].name = "layer"
    return ir.from_proto(proto)


@pytest.mark.arithmetic
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_answers_are_the_same_where_products_saturate(bidirectional: bool) -> None:
    layer = _layer(nn.LSTM, bidirectional)
    with torch.no_grad():
        for weight in layer.parameters():  # all of one sign, which is the worst for sums of pairs
            weight.copy_(weight.abs())
    made = quantize_dynamic(_model(layer, "LSTM", [0, 3, 1, 2])).model
    exact, native = (run_session(open_session(made, 1, arithmetic=kind), {"x": X}) for kind in ("exact", "native"))
    for each, other in zip(exact, native, strict=True):
        np.testing.assert_allclose(other, each, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_an_lstm_runs_on_int8_weights_and_follows_pytorch(bidirectional: bool) -> None:
    layer = _layer(nn.LSTM, bidirectional)
    model = _model(layer, "LSTM", [0, 3, 1, 2])
    result = quantize_dynamic(model)
    assert [node.op_type for node in optimized_graph(result.model)] == ["DynamicQuantizeLSTM"]
    assert result.changes == ("layer stores int8 weights",)
    assert result.refusals == ()
    with torch.no_grad():
        wanted = layer(torch.from_numpy(X))[0].numpy().reshape(STEPS, ROWS, -1, HIDDEN).swapaxes(1, 2)
    np.testing.assert_allclose(execute(model, {"x": X})[0], wanted, atol=1e-5)
    # Two int8 products a step: 40 dB each for 8 bits, less what the recurrence adds up.
    assert Agreement.between([wanted], execute(result.model, {"x": X})[:1]).sqnr_db > 35
    assert len(to_bytes(result.model)) < 0.5 * len(to_bytes(model))


def test_an_lstm_with_computed_weights_is_named() -> None:
    model = _model(_layer(nn.LSTM), "LSTM", [0, 3, 1, 2])
    del model.graph.initializers["w"]
    given = ir.val("w", dtype=ir.DataType.FLOAT, shape=[1, 4 * HIDDEN, INPUTS])
    model.graph.inputs.append(given)
    model.graph[0].replace_input_with(1, given)
    (refusal,) = quantize_dynamic(model).refusals
    assert (refusal.name, refusal.kind, refusal.reason) == ("layer", "LSTM", "its weights are computed, not constant")


def test_a_gru_is_named() -> None:
    model = _model(_layer(nn.GRU), "GRU", [1, 0, 2], ", linear_before_reset=1")
    result = quantize_dynamic(model)
    assert [(refusal.name, refusal.kind) for refusal in result.refusals] == [("layer", "GRU")]
    assert result.refusals[0].reason == "ONNX Runtime has no dynamic kernel for it, only for LSTM"
    assert to_bytes(result.model) == to_bytes(model)
