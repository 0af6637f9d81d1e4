"""uint16 around the nodes that are named: the numbers are those of ONNX, and the simulated NPU takes them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from edgecompress.calibration import QNNPACK, QuantParams
from edgecompress.data.batches import Batch
from edgecompress.exporters.graph import constant
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.quantization.qdq_pairs import PAIRS, params_of
from edgecompress.quantization.wide_activations import narrowed, twin, units
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import ALL_CORES, open_session, run_session, to_bytes
from edgecompress.step import StepResult
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import find_places
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.quantization.layers import BATCHES, DATA, LAYERS, enclose

CHAIN = "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) s = Add(r, x) t = Transpose<perm=[0,1,3,2]>(s) y = Mul(t, t)"
CONSTANTS = {"w": draw(4, 4, 3, 3), "b": draw(4)}
EXACT_DB = 60.0
"""What uint16 agrees to at least, where no weight is int8."""


def _wide(model: ir.Model, *patterns: str, opset: int = 20) -> StepResult[ir.Model]:
    model.opset_imports[""] = opset
    recipe = Quantization(enabled=True, enclose=True, uint16_activations=patterns)
    return enclose(model, recipe, BATCHES, Progress())


def _run(model: ir.Model) -> NDArray[np.float32]:
    return run_session(open_session(to_bytes(model), ALL_CORES), {"x": DATA[0]})[0]


def _by_definition(model: ir.Model) -> NDArray[np.float32]:
    """The output that ONNX's own evaluator computes, operator by operator."""
    outputs = ReferenceEvaluator(onnx.load_from_string(to_bytes(model))).run(None, {"x": DATA[0]})
    return np.asarray(next(iter(outputs)))


def _types(model: ir.Model) -> dict[str, set[str]]:
    """What each node reads and writes, by its name; constants of biases and weights left out."""
    found = {}
    for node in model.graph:
        if node.op_type not in PAIRS:
            read = [value.producer() for value in node.inputs if value is not None]
            written = [user for output in node.outputs for user, _ in output.uses()]
            pairs = [pair for pair in (*read, *written) if pair is not None and pair.op_type in PAIRS]
            found[str(node.name)] = {params_of(pair).dtype.name for pair in pairs} - {"int8", "int32"}
    return found


def _sqnr(expected: NDArray[np.float32], given: NDArray[np.float32]) -> float:
    return Agreement.between([expected], [given]).sqnr_db


@pytest.mark.parametrize("kind", LAYERS)
def test_every_operator_reads_and_writes_uint16(kind: str) -> None:
    body, constants = LAYERS[kind]
    model = graph(body, **constants)
    wide = _wide(model, "*").model
    slopes = {"uint8"} if kind == "PRelu" else set()
    assert set.union(*_types(wide).values()) == {"uint16"} | slopes
    weights = kind in ("Conv", "ConvTranspose")
    assert _sqnr(_run(model), _run(wide)) > (35 if weights else EXACT_DB)


@pytest.mark.parametrize("kind", ["Add", "Conv", "LayerNormalization", "MatMul", "Softmax"])
def test_the_numbers_are_those_of_onnx_definition(kind: str) -> None:
    body, constants = LAYERS[kind]
    wide = _wide(graph(body, **constants), "*", opset=21).model
    assert _sqnr(_by_definition(wide), _run(wide)) > 80


def test_before_opset_21_the_pairs_are_those_of_onnx_runtime_and_the_numbers_the_same() -> None:
    old, new = (_wide(graph(CHAIN, **CONSTANTS), "*", opset=opset).model for opset in (20, 21))
    assert {node.domain for node in old.graph if node.op_type == "QuantizeLinear"} == {"com.microsoft"}
    assert old.opset_imports["com.microsoft"] == 1
    assert {node.domain for node in new.graph} == {""}
    onnx.checker.check_model(onnx.load_from_string(to_bytes(new)), full_check=True)
    np.testing.assert_array_equal(_run(old), _run(new))


def test_a_node_has_one_type_and_its_neighbours_are_converted() -> None:
    model = graph(CHAIN, **CONSTANTS)
    mixed = _wide(model, "s").model
    assert _types(mixed) == {"a": {"uint8"}, "r": {"uint8"}, "s": {"uint16"}, "t": {"uint16"}, "y": {"uint8"}}
    assert [value.name for value in mixed.graph.outputs] == ["y"]
    assert _sqnr(_run(model), _run(mixed)) > 25
    reference = _wide(graph(CHAIN, **CONSTANTS), "s", opset=21).model
    assert _sqnr(_by_definition(reference), _run(mixed)) > 35  # a value on the edge between two integers


def test_a_value_that_two_nodes_read_is_converted_once() -> None:
    mixed = _wide(graph("a = Sigmoid(x) b = Tanh(a) c = HardSigmoid(a) y = Add(b, c)"), "a").model
    narrow = [node for node in mixed.graph if node.op_type == "QuantizeLinear" and params_of(node).dtype == np.uint8]
    assert len(narrow) == 4  # of a for both readers, b, c and y
    assert len({id(node.inputs[0]) for node in narrow}) == 4


def test_more_bits_agree_better_and_only_where_they_are() -> None:
    model = graph(CHAIN, **CONSTANTS)
    expected = _run(model)
    narrow, some, every = (_sqnr(expected, _run(_wide(model, *names).model)) for names in ((), ("s", "y"), ("*",)))
    assert narrow < some < every


@pytest.mark.parametrize("name", ["a", "r"])
def test_a_layer_and_the_activation_that_goes_into_it_have_one_type(name: str) -> None:
    scale, zero_point = np.array(0.02, np.float32), np.array(0, np.uint8)
    body = "a = Conv(x, w, b) r = Relu(a) q = QuantizeLinear(r, s, z) d = DequantizeLinear(q, s, z) y = Sigmoid(d)"
    model = graph(body, **CONSTANTS, s=scale, z=zero_point)
    wide = _wide(model, name).model
    assert _types(wide) == {"a": {"uint16"}, "r": {"uint16"}, "y": {"uint8"}}
    (relu,) = (node for node in wide.graph if node.op_type == "Relu")
    assert relu.inputs[0].producer().name == "a"  # type: ignore[union-attr]
    assert _sqnr(_run(model), _run(wide)) > 30


def test_a_unit_is_what_has_one_type() -> None:
    enclosed = _wide(graph(CHAIN, **CONSTANTS)).model
    assert units(enclosed.graph) == [("a",), ("r",), ("s", "t"), ("y",)]


def test_a_bias_has_the_scale_of_input_times_weight() -> None:
    bias = QuantParams(scale=np.full(6, 0.001, np.float32), zero_point=np.zeros(6, np.int32), axis=0)
    wide = _wide(_with_integer_bias(bias), "*").model
    (conv,) = (node for node in wide.graph if node.op_type == "Conv")
    source, weight, after = (params_of(value.producer()) for value in conv.inputs)  # type: ignore[union-attr, arg-type]
    np.testing.assert_array_equal(after.scale, source.scale * weight.scale)
    codes = constant(conv.inputs[2].producer().inputs[0])  # type: ignore[union-attr]
    assert codes is not None
    np.testing.assert_allclose(codes * after.scale.astype(np.float64), BIAS_CODES * 0.001, atol=after.scale.max())


def test_a_bias_that_would_not_fit_int32_stays_as_it_is() -> None:
    bias = QuantParams(scale=np.full(6, 100, np.float32), zero_point=np.zeros(6, np.int32), axis=0)
    wide = _wide(_with_integer_bias(bias), "*").model
    (conv,) = (node for node in wide.graph if node.op_type == "Conv")
    pair = conv.inputs[2].producer()  # type: ignore[union-attr]
    assert pair is not None
    np.testing.assert_array_equal(params_of(pair).scale, bias.scale)


BIAS_CODES = np.arange(-3, 3, dtype=np.int32) * 1000


def _with_integer_bias(bias: QuantParams) -> ir.Model:
    body = "d = DequantizeLinear<axis=0>(b, s) y = Conv(x, w, d)"
    return graph(body, b=BIAS_CODES, s=bias.scale, w=draw(6, 4, 3, 3))


def test_what_matches_no_node_is_told() -> None:
    (told,) = _wide(graph(CHAIN, **CONSTANTS), "s", "no_such").warnings
    assert told == "quantization.uint16_activations: no node has a name like 'no_such'; inspect lists the names"


@given(st.floats(1e-6, 1e6), st.integers(0, 255))
def test_each_value_of_uint8_is_one_of_its_twin(scale: float, zero_point: int) -> None:
    narrow = QuantParams(scale=np.array(scale, np.float32), zero_point=np.array(zero_point, np.uint8))
    wide, codes = twin(narrow), np.arange(256, dtype=np.uint8)
    values = narrow.dequantize(codes)
    np.testing.assert_array_equal(wide.quantize(values), codes.astype(np.uint16) * 257)
    np.testing.assert_allclose(wide.dequantize(wide.quantize(values)), values, rtol=1e-6)
    back = narrowed(wide)
    np.testing.assert_allclose(back.scale, narrow.scale, rtol=1e-5)
    assert back.zero_point == narrow.zero_point


def test_the_codes_of_a_scheme_of_8_bits_stay_uint8() -> None:
    assert QNNPACK.activation_params(-1.0, 1.0).dtype == np.uint8


ATTENTION = "s = Mul(x, x) p = Softmax(s) y = MatMul(p, x)"


def test_softmax_is_uint16_in_any_case() -> None:
    mixed = _types(_wide(graph(ATTENTION)).model)
    assert mixed == {"s": {"uint8"}, "p": {"uint16"}, "y": {"uint8"}}


@pytest.mark.skipif(find_spec("onnxruntime_qnn") is None, reason="pip install 'edgecompress[qnn]'")
def test_small_probabilities_survive_on_the_npu() -> None:
    body = "m = Mul(x, small) r = Reshape(m, flat) y = Softmax(r)"  # each of 256 is about 1/256
    model = graph(body, small=np.array(0.3, np.float32), flat=np.array([0, 1, 1, 256]))
    enclosed, batches = _wide(model).model, [Batch(inputs={"x": DATA[0][:1]})]
    (result,) = compare_places(to_bytes(enclosed), batches[0], batches, find_places(["qnn"]), Heard())
    assert result.failure is None
    assert result.agreement.sqnr_db > 40


@pytest.mark.skipif(find_spec("onnxruntime_qnn") is None, reason="pip install 'edgecompress[qnn]'")
@pytest.mark.parametrize("kind", [*LAYERS, "mixed"])
def test_the_npu_takes_it_whole(kind: str) -> None:
    body, constants = LAYERS.get(kind, (CHAIN, CONSTANTS))
    wide = _wide(graph(body, **constants), "s" if kind == "mixed" else "*").model
    batches = [Batch(inputs={"x": DATA[0][:1]})]
    (result,) = compare_places(to_bytes(wide), batches[0], batches, find_places(["qnn"]), Heard())
    assert result.failure is None
    assert {node.unit for node in result.nodes} == {"NPU"}
    assert {node.precision for node in result.nodes} == ({"u8", "u16"} if kind == "mixed" else {"u16"})
    assert result.agreement.sqnr_db > (25 if kind == "mixed" else 40)
