"""What is read back of a quantized file is what was decided, in networks of every kind of pair."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.calibration import FBGEMM, FBGEMM_NARROW_WEIGHTS, QNNPACK, Scheme
from edgecompress.errors import EdgecompressError
from edgecompress.quantization.lowering import Lowering
from edgecompress.quantization.placement import place
from edgecompress.quantization.readback import require_decided
from edgecompress.quantization.weights import weight_grids
from tests.exporters.graphs import draw, graph

CONV = "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a)"


def _lowering(model: ir.Model, scheme: Scheme = QNNPACK, per_channel: bool = True) -> Lowering:
    placement = place(model.graph)
    return Lowering(
        model=model,
        floats=model,
        scheme=scheme,
        placement=placement,
        params={name: scheme.activation_params(-2.0, 3.0) for name in placement.pairs},
        weights=weight_grids(model.graph, placement, scheme, per_channel=per_channel),
    )


def _conv(body: str = f"{CONV} y = MaxPool<kernel_shape=[2,2]>(r)", bias: float = 1.0) -> ir.Model:
    weight = draw(4, 4, 3, 3)
    weight[0] *= np.float32(1e-9)  # a dead channel
    return graph(body, w=weight, b=np.full(4, bias, np.float32))


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("scheme", [QNNPACK, FBGEMM, FBGEMM_NARROW_WEIGHTS], ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("bias", [0.0, 1.0, 1e3])
def test_what_is_written_is_what_was_decided(scheme: Scheme, per_channel: bool, bias: float) -> None:
    lowering = _lowering(_conv(bias=bias), scheme, per_channel)
    assert lowering.placement.placed
    require_decided(lowering.write(), lowering)


def test_integers_that_are_only_passed_on_are_read_too() -> None:
    lowering = _lowering(_conv())
    written = lowering.write()
    last = next(node for node in reversed(written.graph) if node.op_type == "DequantizeLinear")
    assert last.name == "y/dq"
    last.replace_input_with(1, ir.Value(name="s", const_value=ir.tensor(np.float32(1))))
    with pytest.raises(EdgecompressError, match="DequantizeLinear 'y/dq' has another scale than was decided"):
        require_decided(written, lowering)


def test_a_weight_of_another_channel_is_seen() -> None:
    lowering = _lowering(_conv())
    written = lowering.write()
    codes = written.graph.initializers["a/weight/q"]
    assert codes.const_value is not None
    codes.const_value = ir.tensor(np.roll(codes.const_value.numpy(), 1, axis=0), name=codes.name)
    with pytest.raises(EdgecompressError, match="the integers of 'a/weight/dq' stand for another weight"):
        require_decided(written, lowering)


def test_an_integer_of_more_bits_than_were_asked_for_is_seen() -> None:
    lowering = _lowering(_conv())
    fewer = {name: replace(params, bits=4) for name, params in lowering.weights.items()}
    with pytest.raises(EdgecompressError, match="the integers of 'a/weight/dq' stand for another weight"):
        require_decided(lowering.write(), replace(lowering, weights=fewer))


def test_a_deep_network_without_integers_is_read_at_once() -> None:
    names = ["x", *(f"v{number}" for number in range(2000)), "y"]
    model = graph(" ".join(f"{after} = Sin({before})" for before, after in pairwise(names)))
    lowering = _lowering(model)
    assert not lowering.placement.placed
    require_decided(lowering.write(), lowering)
