"""Sums of 8-bit products: exact by default, as the CPU makes them where that is asked for; files load in both."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from edgecompress.arithmetic import EXACT_OPTION, unshared
from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.static import quantize_static
from edgecompress.recipe.tables import Cpu, Isa, Quantization, Recipe
from edgecompress.runtime import execute, in_words, open_session, run_session, saturates, to_bytes
from edgecompress.targets.cpus import arithmetic_of
from tests.exporters.graphs import draw, graph

pytestmark = pytest.mark.arithmetic
CPU_INFO = Path("/proc/cpuinfo")
X = {"x": np.full((1, 8), 255, np.uint8)}
# Two products read one weight, whose zero point they share with a third: no exact session takes that as it is.
SHARING = """
<ir_version: 10, opset_import: ["" : 20]>
m (uint8[N, 8] x) => (float[N, 16] y) <int8[16] zero, float[16] scale, float one, uint8 z> {
    real = DequantizeLinear(x, one, z)
    weight = DequantizeLinear<axis=1>(w, scale, zero)
    other = DequantizeLinear<axis=1>(v, scale, zero)
    a = MatMul(real, weight)
    aq = QuantizeLinear(a, wide, z)
    ar = DequantizeLinear(aq, wide, z)
    b = MatMul(real, weight)
    bq = QuantizeLinear(b, wide, z)
    br = DequantizeLinear(bq, wide, z)
    c = MatMul(real, other)
    cq = QuantizeLinear(c, wide, z)
    cr = DequantizeLinear(cq, wide, z)
    s = Add(ar, br)
    y = Add(s, cr)
}
"""


def _product() -> bytes:
    """255 * 127, eight times, for each of 16 columns."""
    text = '<ir_version: 10, opset_import: ["" : 20]> m (uint8[N, 8] x) => (int32[N, 16] y) { y = MatMulInteger(x, w) }'
    return _with(text, w=np.full((8, 16), 127, np.int8))


def _sharing() -> bytes:
    constants: dict[str, np.ndarray[Any, Any]] = {
        "w": np.full((8, 16), 127, np.int8),
        "v": np.full((8, 16), -3, np.int8),
    }
    scales: dict[str, np.ndarray[Any, Any]] = {
        "zero": np.zeros(16, np.int8),
        "scale": np.ones(16, np.float32),
        "z": np.zeros((), np.uint8),
    }
    return _with(SHARING, **constants, **scales, one=np.ones((), np.float32), wide=np.full((), 2000, np.float32))


def _as_constant_nodes(content: bytes) -> bytes:
    """The same model, its constants in nodes, as PyTorch's older exporter writes them."""
    proto = onnx.load_from_string(content)
    nodes = [onnx.helper.make_node("Constant", [], [each.name], value=each) for each in proto.graph.initializer]
    del proto.graph.initializer[:]
    body = [*nodes, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(body)
    found: bytes = proto.SerializeToString()
    return found


def _in_a_branch(content: bytes) -> bytes:
    """The same model as one branch of an If, which holds all of the constants."""
    inner = onnx.load_from_string(content).graph
    del inner.input[:]
    nothing = onnx.parser.parse_graph("nothing () => (float[N, 16] n) { n = Cast<to = 1>(x) }")
    outer = "m (uint8[N, 8] x) => (float[N, 16] z) { cond = Constant<value = bool {1}>() }"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {outer}')
    proto.graph.node.append(onnx.helper.make_node("If", ["cond"], ["z"], then_branch=inner, else_branch=nothing))
    found: bytes = proto.SerializeToString()
    return found


def _with_weights_apart(content: bytes, path: Path) -> Path:
    onnx.save(
        onnx.load_from_string(content), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    return path


def _with(text: str, **constants: np.ndarray[Any, Any]) -> bytes:
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    content: bytes = proto.SerializeToString()
    return content


@pytest.mark.skipif(not CPU_INFO.is_file(), reason="the system does not say what its CPU can do")
def test_this_cpu_saturates_if_it_is_x86_without_vnni() -> None:
    flags = CPU_INFO.read_text()
    x86 = platform.machine() in ("x86_64", "AMD64")
    assert saturates() == (x86 and "vnni" not in flags and "avx2" in flags)


def test_a_session_sums_exactly_by_default() -> None:
    (exact,) = run_session(open_session(_product(), 1), X)
    assert (exact == 8 * 255 * 127).all()


def test_native_arithmetic_is_that_of_the_cpu() -> None:
    (native,) = run_session(open_session(_product(), 1, arithmetic="native"), X)
    assert (native == 8 * 255 * 127).all() != saturates()
    assert in_words("native") == ("saturating" if saturates() else "exact")
    assert in_words("exact") == "exact"


def test_a_file_whose_layers_share_integers_is_run_exactly_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(_sharing())
    (wanted,) = ReferenceEvaluator(onnx.load(path)).run(None, X)
    for model in (_sharing(), path, ir.load(path)):
        (found,) = run_session(open_session(model, 1), X)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("form", [_as_constant_nodes, _in_a_branch])
def test_integers_that_layers_share_may_stand_anywhere_in_a_file(form: Callable[[bytes], bytes]) -> None:
    content = form(_sharing())
    (wanted,) = ReferenceEvaluator(onnx.load_from_string(_sharing())).run(None, X)
    (found,) = run_session(open_session(content, 1), X)
    np.testing.assert_array_equal(found, wanted)


def test_integers_that_layers_share_may_lie_next_to_the_file(tmp_path: Path) -> None:
    (wanted,) = ReferenceEvaluator(onnx.load_from_string(_sharing())).run(None, X)
    (found,) = run_session(open_session(_with_weights_apart(_sharing(), tmp_path / "model.onnx"), 1), X)
    np.testing.assert_array_equal(found, wanted)


def test_unshared_gives_every_reader_its_own_integers() -> None:
    model = ir.from_proto(onnx.load_from_string(_sharing()))
    copied = unshared(model)
    integers = [v for v in copied.graph.initializers.values() if v.dtype == ir.DataType.INT8]
    assert {len(list(value.uses())) for value in integers} == {1}
    assert to_bytes(model) == to_bytes(ir.from_proto(onnx.load_from_string(_sharing())))
    before, after = (np.asarray(ReferenceEvaluator(ir.to_proto(each)).run(None, X)) for each in (model, copied))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_what_is_written_loads_in_exact_sessions_as_it_is(granularity: str) -> None:
    conv = "Conv<pads=[1,1,1,1]>"
    body = f"a = {conv}(x, w) r = Relu(a) b = {conv}(r, w) s = Add(b, r) c = {conv}(s, v) y = {conv}(c, v)"
    model = graph(body, w=draw(4, 4, 3, 3) * 0.3, v=draw(4, 4, 3, 3, seed=1) * 0.3)
    data = [draw(4, 4, 8, 8, seed=seed) for seed in range(2)]
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    recipe = Quantization.model_validate({"enabled": True, "granularity": granularity})
    made = quantize_static(model, recipe, batches, Progress()).model
    read = Counter(id(v) for node in made.graph for v in node.inputs if v is not None and v.dtype == ir.DataType.INT8)
    assert read
    assert set(read.values()) == {1}
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(EXACT_OPTION, "1")
    session = onnxruntime.InferenceSession(to_bytes(made), options)
    (found,), (wanted,) = session.run(None, {"x": data[0]}), execute(made, {"x": data[0]})
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("isa", "scheme", "arithmetic"),
    [
        (None, "qnnpack", "exact"),
        ("armv8.0", "qnnpack", "exact"),
        ("x86-vnni", "qnnpack", "exact"),
        ("x86-avx2", "qnnpack", "native"),
        ("x86-avx2", "fbgemm", "exact"),
    ],
)
def test_an_artifact_is_judged_in_the_arithmetic_of_its_target(isa: Isa | None, scheme: Any, arithmetic: str) -> None:
    recipe = Recipe(cpu=Cpu(isa=isa), quantization=Quantization(enabled=True, scheme=scheme))
    assert arithmetic_of(recipe) == arithmetic
