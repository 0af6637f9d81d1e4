"""A PRelu becomes what ONNX Runtime is fast in, and gives the same to within a few units in the last place."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.exporters.canonicalize.prelus import STEEPEST, convolve_prelus
from tests.exporters.canonicalize.sequences import operators
from tests.exporters.graphs import draw, run

UNIT = float(np.finfo(np.float32).eps)


def _model(shape: str, slopes: NDArray[np.float32]) -> ir.Model:
    text = (
        f'<ir_version: 8, opset_import: ["" : 20]> main (float[{shape}] x) => (float[{shape}] y) {{ y = PRelu(x, s) }}'
    )
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(slopes, "s"))
    proto.graph.node[0].name = "prelu"
    return ir.from_proto(proto)


@given(
    slopes=st.lists(st.floats(-STEEPEST, STEEPEST, width=32), min_size=1, max_size=5),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    leading=st.booleans(),
)
def test_it_is_the_float_network(slopes: list[float], sides: tuple[int, int], *, leading: bool) -> None:
    held = np.array(slopes, np.float32).reshape((1, -1, 1, 1) if leading else (-1, 1, 1))
    model = _model(f"N, {len(slopes)}, {sides[0]}, {sides[1]}", held)
    x = draw(2, len(slopes), *sides)
    made = convolve_prelus(model).model
    expected = np.where(x < 0, np.float64(1) * x * held.reshape(-1, 1, 1), x)
    products = np.abs(x) * (1 + 2 * np.abs(held.reshape(-1, 1, 1)))
    assert (np.abs(run(made, x) - expected) <= 2 * UNIT * products).all()
    single = len(set(held.reshape(-1).tolist())) == 1
    assert operators(made) == (["LeakyRelu"] if single else ["Relu", "Conv", "Conv", "Add"])


@pytest.mark.parametrize("shape", ["N, 3, 4, 4", "N, 3", "N, C, H, W", "N, 3, 7"])
def test_one_slope_gives_the_same_bits(shape: str) -> None:
    model = _model(shape, np.array([0.2], np.float32))
    result = convolve_prelus(model)
    assert operators(result.model) == ["LeakyRelu"]
    assert result.changes == ("prelu: PRelu became LeakyRelu",)
    x = draw(*(3 if size.strip() == "3" else 7 if size.strip() == "7" else 4 for size in shape.split(",")))
    np.testing.assert_array_equal(run(result.model, x), run(model, x))


@pytest.mark.parametrize(
    ("shape", "slopes"),
    [
        ("N, 3, 8", draw(3, 1)),
        ("N, 3, 4, 4", draw(4)),
        ("N, 3, 4, 4", draw(3, 4, 4)),
        ("N, 3, 4, 4", np.array([[[0.1]], [[0.2]], [[5.0]]], np.float32)),
        ("N, C, 4, 4", draw(3, 1, 1)),
    ],
)
def test_another_stays(shape: str, slopes: NDArray[np.float32]) -> None:
    result = convolve_prelus(_model(shape, slopes))
    assert operators(result.model) == ["PRelu"]
    assert result.changes == ()
