"""Bytes in, and the answers of the float input: bit for bit, or as far as float32 rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from edgecompress.errors import ModelError
from edgecompress.exporters.byte_input import take_bytes
from edgecompress.exporters.finish import fault_of
from edgecompress.exporters.pixels import Layout, Pixels
from edgecompress.runtime import to_bytes

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
HALF = {"mean": (0.5,), "std": (0.5,)}
PLAIN = {"mean": (0.0,), "std": (1.0,)}
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((8, 3, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(8).astype(np.float32)


def _pixels(values: dict[str, Any], layout: Layout = "nchw", *, scaled: bool = True, own: Layout = "nchw") -> Pixels:
    return Pixels(**values, scaled=scaled, layout=layout, own=own)


def _model(body: str, picture: str = "float[n,3,16,16] x", **constants: Any) -> bytes:
    text = f'<ir_version: 10, opset_import: ["" : 20]> net ({picture}) => (float[n,a,b,c] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    arrays = {"w": WEIGHT, "b": BIAS, **constants}
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items() if f"{name}" in body
    )
    for index, made in enumerate(proto.graph.node):
        made.name = f"node_{index}"
    return proto.SerializeToString()  # type: ignore[no-any-return]


def _run(model: bytes, inputs: Any) -> Any:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: inputs})[0]


def _bytes(pixels: Pixels) -> Any:
    found = RNG.integers(0, 256, (4, 3, 16, 16), np.uint8)
    return found if pixels.layout == "nchw" else np.ascontiguousarray(found.transpose(0, 2, 3, 1))


def _converted(model: bytes, pixels: Pixels) -> tuple[bytes, list[str]]:
    result = take_bytes(model, pixels)
    assert isinstance(result.model, ir.Model)
    content = to_bytes(result.model)
    assert fault_of(content) is None
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [(spec.name, spec.type) for spec in session.get_inputs()] == [("x", "tensor(uint8)")]
    return content, [made.op_type for made in result.model.graph]


FOLDED = {
    "padded": "y = Conv<pads = [1, 1, 1, 1]>(x, w, b)",
    "without a border": "y = Conv(x, w, b)",
    "without a bias": "y = Conv(x, w)",
    "read twice": "p = Conv<pads = [1, 1, 1, 1]>(x, w, b) q = Conv<pads = [1, 1, 1, 1]>(x, w) y = Add(p, q)",
}


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("values", [IMAGENET, HALF, PLAIN], ids=["imagenet", "half", "plain"])
@pytest.mark.parametrize("name", FOLDED)
def test_convolutions_take_mean_and_deviation(name: str, values: dict[str, Any], scaled: bool, layout: Layout) -> None:
    model, pixels = _model(FOLDED[name]), _pixels(values, layout, scaled=scaled)
    content, operators = _converted(model, pixels)
    given = _bytes(pixels)
    expected, found = _run(model, pixels.normalized(given)), _run(content, given)
    # float32 with 24 bits: a sum of 27 products of bytes and weights of another scale is rounded elsewhere.
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    assert "Div" not in operators
    subtracts = any(values["mean"]) and name in ("padded", "read twice")
    assert operators.count("Sub") == int(subtracts)
    assert operators.count("Transpose") == int(layout == "nhwc")
    stored = {tensor.name for tensor in onnx.load_from_string(content).graph.initializer}
    assert not stored & {"w"}


KEPT = {
    "another operator": "y = MaxPool<kernel_shape = [2, 2]>(x)",
    "in groups": "y = Conv<group = 3>(x, g)",
    "computed weights": "v = Relu(w) y = Conv(x, v)",
    "one of two": "p = Conv(x, w) q = MaxPool<kernel_shape = [3, 3]>(x) r = ReduceMax<keepdims = 1>(q) y = Add(p, r)",
    "computed bias": "v = Relu(b) y = Conv(x, w, v)",
}


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("values", [IMAGENET, HALF, PLAIN], ids=["imagenet", "half", "plain"])
@pytest.mark.parametrize("name", KEPT)
def test_everything_else_is_normalized_bit_for_bit(name: str, values: dict[str, Any], layout: Layout) -> None:
    model, pixels = _model(KEPT[name], g=WEIGHT[:3, :1]), _pixels(values, layout)
    content, _ = _converted(model, pixels)
    given = _bytes(pixels)
    assert np.array_equal(_run(content, given), _run(model, pixels.normalized(given)))


@pytest.mark.parametrize(
    ("values", "scaled", "steps"),
    [
        (HALF, True, ["Div", "Sub"]),
        (HALF, False, ["Sub", "Div"]),
        (PLAIN, True, ["Div"]),
        (PLAIN, False, []),
        ({"mean": (0.0,), "std": (1 / 255,)}, True, ["Div", "Div"]),  # twice rounded is not once rounded
        (IMAGENET, True, ["Div", "Sub", "Div"]),
    ],
)
def test_the_graph_normalizes_in_as_few_steps_as_give_the_same_bits(
    values: dict[str, Any], scaled: bool, steps: list[str]
) -> None:
    pixels = _pixels(values, scaled=scaled)
    content, operators = _converted(_model(KEPT["another operator"]), pixels)
    assert operators == ["Cast", *steps, "MaxPool"]
    every = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (1, 3, 16, 16))
    model = _model(KEPT["another operator"])
    assert np.array_equal(_run(content, every), _run(model, pixels.normalized(every)))


def test_a_network_of_channels_last_is_normalized_bit_for_bit() -> None:
    model = _model("y = MaxPool<kernel_shape = [2, 2]>(x)", "float[n,16,16,3] x")
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    for layout in layouts:
        pixels = _pixels(IMAGENET, layout, own="nhwc")
        content, _ = _converted(model, pixels)
        given = _bytes(pixels)
        assert np.array_equal(_run(content, given), _run(model, pixels.normalized(given)))


@pytest.mark.parametrize(
    ("values", "scale", "zero", "goes"),
    [
        (PLAIN, 1 / 255, 0, True),
        (PLAIN, 1 / 200, 0, False),
        (HALF, 2 / 255, 128, False),  # each byte lies between two integers
        ({"mean": (128 / 255,), "std": (0.5,)}, 2 / 255, 128, True),
    ],
)
def test_quantization_goes_where_it_gives_each_byte_back(
    values: dict[str, Any], scale: float, zero: int, goes: bool
) -> None:
    body = "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Conv(d, w, b)"
    model = _model(body, s=np.float32(scale), z=np.uint8(zero))
    pixels = _pixels(values, "nhwc")
    content, operators = _converted(model, pixels)
    given = _bytes(pixels)
    assert np.array_equal(_run(content, given), _run(model, pixels.normalized(given)))
    assert ("QuantizeLinear" not in operators) == goes
    assert ("Cast" not in operators) == goes


BAD = {
    "no picture": (
        "y = Unsqueeze(x, i)",
        "float[n,3,16] x",
        "'export.image_input' is 'uint8', and the model has no input of pictures, float32 of 4 dimensions;"
        " leave it out",
    ),
    "other channels": (
        "y = MaxPool<kernel_shape = [2, 2]>(x)",
        "float[n,1,16,16] x",
        "input 'x' has 1 channel, and images.mean and images.std have 3; set images.layout, or one value for each"
        " channel",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_takes_no_such_bytes_is_refused(name: str) -> None:
    body, picture, told = BAD[name]
    with pytest.raises(ModelError) as caught:
        take_bytes(_model(body, picture, i=np.array([0])), _pixels(IMAGENET))
    assert str(caught.value) == told
