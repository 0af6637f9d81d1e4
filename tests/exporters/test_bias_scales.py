"""The scale of a bias is left to the runtime, where it is the product of two others to the last bit."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.exporters.bias_scales import LEAST_CHANNELS, multiply_bias_scales
from edgecompress.exporters.graph import constant
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run

pytestmark = pytest.mark.arithmetic
BODY = """
q = QuantizeLinear(x, step, zero) d = DequantizeLinear(q, step, zero)
w = DequantizeLinear<axis=0>(codes, scales, zeros) b = DequantizeLinear<axis=0>(heavy, products)
c = Conv(d, w, b) o = QuantizeLinear(c, wide, zero) y = DequantizeLinear(o, wide, zero)
"""


def _model(channels: int, products: NDArray[np.float32] | None = None, body: str = BODY) -> ir.Model:
    step, scales = np.float32(0.037), np.abs(draw(channels)) + np.float32(0.01)
    return graph(
        body,
        step=np.array(step),
        zero=np.array(100, np.uint8),
        wide=np.array(0.5, np.float32),
        codes=np.random.default_rng(0).integers(-127, 128, (channels, 4, 3, 3), np.int8),
        scales=scales,
        zeros=np.zeros(channels, np.int8),
        heavy=np.arange(channels, dtype=np.int32) * 100,
        products=step * scales if products is None else products,
    )


def _multiplied(model: ir.Model) -> ir.Model:
    proto = onnx.load_from_string(to_bytes(model))
    multiply_bias_scales(proto)
    onnx.checker.check_model(proto, full_check=True)
    return ir.from_proto(proto)


def test_a_product_takes_the_place_of_the_scale() -> None:
    model = _model(32)
    made = _multiplied(model)
    (mul,) = (node for node in made.graph if node.op_type == "Mul")
    factors = [constant(value) for value in mul.inputs]
    expected = model.graph.initializers["products"].const_value
    assert expected is not None
    assert factors[0] is not None
    assert factors[1] is not None
    np.testing.assert_array_equal(factors[0] * factors[1], expected.numpy())
    assert "products" not in made.graph.initializers
    assert len(to_bytes(made)) < len(to_bytes(model))
    np.testing.assert_array_equal(run(model, draw(2, 4, 8, 8)), run(made, draw(2, 4, 8, 8)))


def test_the_integer_kernel_stays() -> None:
    assert [node.op_type for node in optimized_graph(_multiplied(_model(32)))] == [
        node.op_type for node in optimized_graph(_model(32))
    ]


def test_a_scale_that_is_one_bit_off_stays() -> None:
    exact = _model(32).graph.initializers["products"].const_value
    assert exact is not None
    off = exact.numpy().copy()
    off[5] = np.nextafter(off[5], np.float32(1))
    model = _model(32, off)
    assert to_bytes(_multiplied(model)) == to_bytes(model)


def test_a_scale_of_few_channels_stays() -> None:
    assert to_bytes(_multiplied(_model(LEAST_CHANNELS - 1))) == to_bytes(_model(LEAST_CHANNELS - 1))
    assert to_bytes(_multiplied(_model(LEAST_CHANNELS))) != to_bytes(_model(LEAST_CHANNELS))


def test_a_scale_that_others_read_stays() -> None:
    model = _model(32, body=f"{BODY.replace(' y =', ' p =')} t = Reshape(products, tall) y = Add(p, t)".strip())
    model.graph.register_initializer(
        ir.val("tall", const_value=ir.tensor(np.array([1, 32, 1, 1], np.int64), name="tall"))
    )
    assert to_bytes(_multiplied(model)) == to_bytes(model)
