"""Weights of fewer bits: few levels in the file, none further than half a step from the float, and who has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgecompress.data.batches import Batches, InputNames
from edgecompress.errors import RecipeError
from edgecompress.exporters.graph import constant
from edgecompress.progress import Progress
from edgecompress.quantization.aware.faithfulness import code_differences
from edgecompress.quantization.aware.fake_quantized import FakeQuantized
from edgecompress.quantization.fusion import optimized_graph
from edgecompress.quantization.static import quantize_static
from edgecompress.quantization.weights import constant_weight
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.step import StepResult
from tests.exporters.graphs import Array, draw, graph
from tests.quantization.lowerings import lowering_of

PADS = "pads=[1,1,1,1]"
BODY = f"c = Conv<{PADS}>(x, w, b) r = Relu(c) y = Conv<{PADS}>(r, v)"
CONSTANTS: dict[str, NDArray[Any]] = {
    "w": draw(4, 4, 3, 3) / 3,
    "v": draw(4, 4, 3, 3, seed=1) / 3,
    "b": draw(4, seed=2),
}
DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(3, 5)]


def _model() -> ir.Model:
    return graph(BODY, **CONSTANTS)


def _quantize(bits: dict[str, int], **recipe: Any) -> StepResult[ir.Model]:
    batches = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
    asked = {"enabled": True, "integer_entry": True, "weight_bits": bits} | recipe
    return quantize_static(_model(), Quantization.model_validate(asked), batches, Progress())


def _codes(model: ir.Model, layer: str) -> Array:
    found = constant(model.graph.initializers[f"{layer}/weight/q"])
    assert found is not None
    return found


@pytest.mark.parametrize("options", [{"scheme": "qnnpack"}, {"scheme": "fbgemm", "narrow": "weights"}], ids=str)
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
@given(st.integers(2, 7))
def test_weights_have_as_many_levels_as_bits_have_and_are_half_a_step_off_at_most(
    granularity: str, options: dict[str, Any], bits: int
) -> None:
    lowering = lowering_of(_model(), *DATA, integer_entry=True, weight_bits={"c": bits}, granularity=granularity)
    codes, step = _codes(lowering.write(), "c"), lowering.weights["c"].scale.reshape(-1, 1, 1, 1)
    assert len(np.unique(codes)) <= 2**bits
    assert codes.dtype == np.int8
    assert np.abs(codes * step - CONSTANTS["w"]).max() <= step.max() * 0.5001
    assert np.abs(_codes(lowering.write(), "y")).max() > 100


@pytest.mark.parametrize("passes", [{"adaround": True}, {"bias_correction": True}], ids=str)
def test_what_recovers_accuracy_stays_on_the_grid(passes: dict[str, bool]) -> None:
    result = _quantize({"c": 4, "y": 3}, **passes)
    for layer, levels in (("c", 16), ("y", 8)):
        codes = _codes(result.model, layer)
        assert codes.min() >= -levels // 2
        assert codes.max() < levels // 2
    told = ("weights of 3 bits, stored as INT8: y", "weights of 4 bits, stored as INT8: c")
    assert result.changes[:2] == told
    assert result.warnings == ()


def test_they_run_in_the_same_integer_kernels() -> None:
    kernels = [node.op_type for node in optimized_graph(_quantize({"*": 4}).model)]
    assert kernels == [node.op_type for node in optimized_graph(_quantize({}).model)]
    assert kernels.count("QLinearConv") == 2


def test_two_layers_that_read_one_weight_have_each_its_own_bits() -> None:
    shared = graph(BODY.replace("(r, v)", "(r, w)"), w=CONSTANTS["w"], b=CONSTANTS["b"])
    lowering = lowering_of(shared, *DATA, integer_entry=True, weight_bits={"y": 4})
    written = lowering.write()
    assert np.abs(_codes(written, "y")).max() <= 8
    assert np.abs(_codes(written, "c")).max() > 100
    assert max(found.largest for found in code_differences(written, FakeQuantized(lowering), {"x": DATA[0]})) <= 1
    weight = constant_weight(next(node for node in shared.graph if node.name == "y"))
    np.testing.assert_array_equal(weight, CONSTANTS["w"])


def test_a_name_that_no_node_has_or_that_has_no_integer_weights_is_a_warning() -> None:
    assert _quantize({"zzz": 4}).warnings == (
        "quantization.weight_bits: no node has a name like 'zzz'; inspect lists the names",
    )
    assert _quantize({"y": 4}, keep_float=["y"]).warnings == (
        "quantization.weight_bits: no node with a name like 'y' computes with integer weights",
    )
    assert _quantize({"r": 4, "y": 8}).warnings == (
        "quantization.weight_bits: no node with a name like 'r' computes with integer weights",
    )


@pytest.mark.parametrize(("value", "told"), [("1", "2"), ("9", "8")])
def test_bits_are_two_to_eight(value: str, told: str) -> None:
    with pytest.raises(RecipeError, match=f"{told}.* in 'quantization.weight_bits.c'"):
        override(Recipe(), [f"quantization.weight_bits.c={value}"])
