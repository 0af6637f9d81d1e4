"""Zero points of weights are parts of one row of zeros, where they weigh."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.arithmetic import Arithmetic
from edgecompress.exporters.zero_points import make_zero_points
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.runtime import open_session, run_session, to_bytes
from tests.exporters.graphs import draw, graph

pytestmark = pytest.mark.arithmetic
X = {"x": draw(2, 4, 8, 8)}


def _model(*, channels: int = 512, kernel: int = 1, zero: int = 0) -> ir.Model:
    """Two convolutions of 4 to 512 to 4 channels."""
    constants: dict[str, NDArray[Any]] = {}
    body = "q0 = QuantizeLinear(x, step, mid) d0 = DequantizeLinear(q0, step, mid) "
    for place, (outputs, inputs) in enumerate(((channels, 4), (4, channels))):
        end = "y" if place else "d1"
        body += (
            f"w{place} = DequantizeLinear<axis=0>(codes{place}, scales{place}, zeros{place})"
            f" c{place} = Conv(d{place}, w{place}) q{place + 1} = QuantizeLinear(c{place}, step, mid)"
            f" {end} = DequantizeLinear(q{place + 1}, step, mid) "
        )
        rng = np.random.default_rng(place)
        constants |= {
            f"codes{place}": rng.integers(-127, 128, (outputs, inputs, kernel, kernel), np.int8),
            f"scales{place}": np.full(outputs, 0.01, np.float32),
            f"zeros{place}": np.full(outputs, zero, np.int8),
        }
    return graph(body, step=np.array(0.05, np.float32), mid=np.array(128, np.uint8), **constants)


def _made(model: ir.Model) -> ir.Model:
    proto = onnx.load_from_string(to_bytes(model))
    make_zero_points(proto)
    onnx.checker.check_model(proto, full_check=True)
    return ir.from_proto(proto)


@pytest.mark.parametrize("arithmetic", ["exact", "native"])
def test_zeros_are_made_and_nothing_else_changes(arithmetic: Arithmetic) -> None:
    model, made = _model(), _made(_model())
    assert not {"zeros0", "zeros1"} & made.graph.initializers.keys()
    assert len(to_bytes(made)) < len(to_bytes(model)) - 256
    before, after = (run_session(open_session(each, 1, arithmetic=arithmetic), X)[0] for each in (model, made))
    np.testing.assert_array_equal(before, after)


def test_the_integer_kernels_stay() -> None:
    kinds = [[node.op_type for node in optimized_graph(each)] for each in (_model(), _made(_model()))]
    assert kinds[0] == kinds[1]
    assert kinds[0].count("QLinearConv") == 2


@pytest.mark.parametrize("given", [{"kernel": 9}, {"channels": 128}])
def test_zeros_that_weigh_little_stay(given: dict[str, int]) -> None:
    model = _model(**given)
    assert to_bytes(_made(model)) == to_bytes(model)


def test_zero_points_that_are_no_zeros_stay() -> None:
    model = _model(zero=1)
    assert to_bytes(_made(model)) == to_bytes(model)


def test_an_opset_whose_split_has_its_sizes_as_an_attribute_stays() -> None:
    proto = onnx.load_from_string(to_bytes(_model()))
    proto.opset_import[0].version = 12
    before = proto.SerializeToString(deterministic=True)
    make_zero_points(proto)
    assert proto.SerializeToString(deterministic=True) == before
