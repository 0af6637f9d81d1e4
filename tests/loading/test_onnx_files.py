"""ONNX files with weights elsewhere, old opsets, or integers inside: read, or refused in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from edgecompress.errors import ModelError
from edgecompress.loading import onnx_files
from edgecompress.loading.onnx_files import is_quantized, read_onnx
from edgecompress.pipeline.plan import make_plan
from edgecompress.runtime import execute
from edgecompress.system.onnx_sanitizer import UPGRADED_OPSET
from edgecompress.targets import effective_profile, load_profile

W = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
X = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)


def _proto(
    body: str = "y = MatMul(x, w)", opset: int = 20, ir_version: int = 10, **more: NDArray[Any]
) -> onnx.ModelProto:
    text = f'<ir_version: {ir_version}, opset_import: ["" : {opset}]> m (float[N,8] x) => (float[N,M] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in {"w": W, **more}.items()
    )
    return proto


def _with_external(folder: Path, location: str) -> Path:
    """A model whose weight lies in the file ``location``, as the file itself says."""
    proto = _proto()
    (tensor,) = proto.graph.initializer
    (folder / location).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_onnx(path)
    (line,) = str(caught.value).splitlines()
    return line


def test_weights_next_to_the_model_are_read_into_memory(tmp_path: Path) -> None:
    path = _with_external(tmp_path, "weights.bin")
    model = read_onnx(path)
    (tmp_path / "weights.bin").unlink()
    np.testing.assert_allclose(execute(model, {"x": X})[0], X @ W, rtol=1e-5)


def test_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert "outside of its folder" in _refusal(_with_external(tmp_path / "inner", "../weights.bin"))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = _with_external(tmp_path / "inner", "weights.bin")
    (tmp_path / "inner" / "weights.bin").rename(tmp_path / "secret")
    (tmp_path / "inner" / "weights.bin").symlink_to(tmp_path / "secret")
    assert "outside of its folder" in _refusal(path)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = _with_external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").unlink()
    assert "keeps weights in 'weights.bin', which does not exist" in _refusal(path)


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = _with_external(tmp_path, "weights.bin")
    os.truncate(tmp_path / "weights.bin", 10)
    assert re.fullmatch("'.*' is not a valid ONNX model: .*; export it again", _refusal(path))


def test_more_than_2_gb_in_all_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _with_external(tmp_path, "weights.bin")
    monkeypatch.setattr(onnx_files, "MAX_BYTES", path.stat().st_size + W.nbytes)
    read_onnx(path)
    monkeypatch.setattr(onnx_files, "MAX_BYTES", path.stat().st_size + W.nbytes - 1)
    assert _refusal(path) == (
        f"{str(path)!r} has 0.0 GB with its external weights; ONNX Runtime and onnxsim take at most 2 GB in one piece,"
        " give a smaller model"
    )


def test_a_file_of_more_than_2_gb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.touch()
    os.truncate(path, 2**31)  # sparse: it takes no room
    told = f"{str(path)!r} is larger than 2 GB, the limit of one ONNX file; give a smaller model"
    assert _refusal(path) == told


@pytest.mark.parametrize("opset", [7, 9, 11, 12])
def test_an_old_opset_is_upgraded(tmp_path: Path, opset: int) -> None:
    path = tmp_path / "net.onnx"
    proto = _proto(
        "h = MatMul(x, w) s = ReduceMean<axes=[1], keepdims=1>(h) d = Sub(h, s) y = Softmax<axis=1>(d)", opset, 7
    )
    path.write_bytes(proto.SerializeToString())
    model = read_onnx(path)
    assert model.opset_imports[""] == UPGRADED_OPSET
    scores = X @ W - (X @ W).mean(1, keepdims=True)
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(execute(model, {"x": X})[0], wanted, rtol=1e-4)


@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 9), ("Resize", 10)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_an_image_is_enlarged_as_before_the_upgrade(tmp_path: Path, operator: str, opset: int, mode: str) -> None:
    path = tmp_path / "net.onnx"
    proto = _proto(f'y = {operator}<mode="{mode}">(x, s)', opset, 7, s=np.array([1, 2], np.float32))
    path.write_bytes(proto.SerializeToString())
    model = read_onnx(path)
    assert model.opset_imports[""] == UPGRADED_OPSET
    places = np.arange(16) / 2  # the first value stays where it is
    places = np.floor(places) if mode == "nearest" else places
    wanted = [np.interp(places, np.arange(8), row) for row in X]
    np.testing.assert_allclose(execute(model, {"x": X})[0], wanted, rtol=1e-5, atol=1e-6)


def test_weights_that_are_inputs_too_are_weights(tmp_path: Path) -> None:
    path, proto = tmp_path / "net.onnx", _proto(opset=11, ir_version=3)
    proto.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, W.shape))
    path.write_bytes(proto.SerializeToString())
    assert [value.name for value in read_onnx(path).graph.inputs] == ["x"]


def test_an_opset_that_cannot_be_upgraded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise RuntimeError("No Adapter for MatMul\nin line 7")

    path = tmp_path / "net.onnx"
    path.write_bytes(_proto(opset=9, ir_version=7).SerializeToString())
    monkeypatch.setattr(onnx.version_converter, "convert_version", refuse)
    told = "has opset 9 and cannot be upgraded: No Adapter for MatMul; export it again with opset 18 or later"
    assert _refusal(path) == f"{str(path)!r} {told}"


def test_an_upgrade_that_answers_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(_proto(opset=12, ir_version=7).SerializeToString())
    monkeypatch.setattr(
        onnx.version_converter, "convert_version", lambda proto, version: _proto("z = MatMul(x, w) y = Neg(z)")
    )
    assert _refusal(path) == (
        f"{str(path)!r} has opset 12, and answers differently when upgraded; export it again with opset 18 or later"
    )


@pytest.mark.parametrize(
    "body",
    [
        "q = QuantizeLinear(x, s) d = DequantizeLinear(q, s) y = MatMul(d, w)",
        "q, a, z = DynamicQuantizeLinear(x) d = DequantizeLinear(q, a, z) y = MatMul(d, w)",
    ],
)
def test_a_quantized_model_is_read_but_not_quantized_again(tmp_path: Path, body: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(_proto(body, s=np.array(0.1, np.float32)).SerializeToString())
    model = read_onnx(path)
    assert is_quantized(model)
    with pytest.raises(ModelError, match="is quantized already; give the float model, or set"):
        make_plan(model, load_profile("mobile"))
    make_plan(model, effective_profile("mobile", ["quantization.enabled=false"]))


@pytest.mark.parametrize(
    "call",
    [
        "DynamicQuantizeMatMul(x, c, s)",
        "MatMulIntegerToFloat(x, c, s, s)",
        "QGemm(x, s, z, c, s, z)",
        "QAttention<num_heads=1>(x, c, b, s, s)",
        "DynamicQuantizeLSTM(x, c, c, , , , , s, s, s, s)",
    ],
)
def test_what_an_optimizer_made_of_a_quantized_model_is_quantized(call: str) -> None:
    assert is_quantized(ir.from_proto(_proto(f"y = com.microsoft.{call}")))


def test_a_float_model_is_not_taken_for_quantized() -> None:
    assert not is_quantized(ir.from_proto(_proto()))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    proto = _proto()
    proto.producer_name = "somebody"
    path.write_bytes(proto.SerializeToString().replace(b"somebody", b"\xff" * 8))
    with pytest.raises(ModelError, match=r"is not a valid ONNX model: the name b'(\\xff){8}' is no UTF-8 text"):
        read_onnx(path)


@pytest.mark.parametrize("where", ["model", "graph", "node", "input", "key"])
def test_metadata_that_are_no_text_are_refused(where: str, tmp_path: Path) -> None:
    path, proto = tmp_path / "net.onnx", _proto()
    graph = proto.graph
    part = {"graph": graph, "node": graph.node[0], "input": graph.input[0]}.get(where, proto)
    part.metadata_props.add(
        key="somebody" if where == "key" else "names", value="cat" if where == "key" else "somebody"
    )
    path.write_bytes(proto.SerializeToString().replace(b"somebody", b"\xff" * 8))
    with pytest.raises(ModelError, match=r"is not a valid ONNX model: the name b'(\\xff){8}' is no UTF-8 text"):
        read_onnx(path)
