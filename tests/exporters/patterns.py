"""The patterns of the placement table as small graphs, for its test and its benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.exporters.canonicalize import prepare_for_integers


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A body between a first convolution, which writes ``a``, and a last one, which reads ``m``.

    ``nodes`` are the names of the body's nodes that are in question; ``kernels`` is what ONNX Runtime
    is to make of them, empty where they are to stay float. ``read`` is the number of channels of ``m``
    over those of ``a``.
    """

    name: str
    body: str
    nodes: tuple[str, ...]
    kernels: tuple[str, ...] = ()
    read: float = 1


GATE = "p = GlobalAveragePool(a) s = Conv(p, w1, b) r = Relu(s) e = Conv(r, w1, b)"
INTEGER = (
    Pattern(name="Relu", body="m = Relu(a)", nodes=("m",)),
    Pattern(name="ReLU6", body="m = Clip(a, zero, six)", nodes=("m",)),
    Pattern(name="residual Add", body="m = Add(a, x)", nodes=("m",), kernels=("QLinearAdd",)),
    Pattern(name="Add of a constant for each place", body="m = Add(a, k)", nodes=("m",), kernels=("QLinearAdd",)),
    Pattern(name="Mul by a constant for each place", body="m = Mul(a, k)", nodes=("m",), kernels=("QLinearMul",)),
    Pattern(name="Concat", body="m = Concat<axis=1>(a, x)", nodes=("m",), kernels=("QLinearConcat",), read=2),
    Pattern(
        name="Concat with a float",
        body="t = Tanh(a) m = Concat<axis=1>(a, t)",
        nodes=("m",),
        kernels=("QLinearConcat",),
        read=2,
    ),
    Pattern(
        name="Split",
        body="l, r = Split<axis=1, num_outputs=2>(a) m = Add(l, r)",
        nodes=("split", "m"),
        kernels=("Split", "QLinearAdd"),
        read=0.5,
    ),
    Pattern(
        name="MaxPool", body="m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)", nodes=("m",), kernels=("MaxPool",)
    ),
    Pattern(
        name="AveragePool",
        body="m = AveragePool<kernel_shape=[2,2], strides=[2,2]>(a)",
        nodes=("m",),
        kernels=("QLinearConv",),
    ),
    Pattern(
        name="GlobalAveragePool", body="m = GlobalAveragePool(a)", nodes=("m",), kernels=("QLinearGlobalAveragePool",)
    ),
    Pattern(name="HardSigmoid", body="m = HardSigmoid<alpha=0.1666667>(a)", nodes=("m",)),
    Pattern(name="HardSwish", body="m = HardSwish(a)", nodes=("m/gate", "m"), kernels=("QLinearMul",)),
    Pattern(name="Sigmoid", body="m = Sigmoid(a)", nodes=("m",), kernels=("QLinearSigmoid",)),
    Pattern(
        name="SiLU", body="s = Sigmoid(a) m = Mul(a, s)", nodes=("s", "m"), kernels=("QLinearSigmoid", "QLinearMul")
    ),
    Pattern(name="Softmax", body="m = Softmax<axis=1>(a)", nodes=("m",), kernels=("QLinearSoftmax",)),
    Pattern(name="LeakyRelu", body="m = LeakyRelu<alpha=0.1>(a)", nodes=("m",), kernels=("QLinearLeakyRelu",)),
    Pattern(
        name="squeeze-and-excitation",
        body=f"{GATE} g = Sigmoid(e) m = Mul(a, g)",
        nodes=("p", "s", "r", "e", "g", "m"),
        kernels=("QLinearGlobalAveragePool", "QLinearSigmoid", "QLinearMul"),
    ),
    Pattern(
        name="squeeze-and-excitation, hard",
        body=f"{GATE} g = HardSigmoid<alpha=0.1666667>(e) m = Mul(a, g)",
        nodes=("p", "s", "r", "e", "g", "m"),
        kernels=("QLinearGlobalAveragePool", "QLinearMul"),
    ),
    Pattern(name="Resize, nearest", body='m = Resize<mode="nearest">(a, , scales)', nodes=("m",), kernels=("Resize",)),
    Pattern(
        name="ChannelShuffle",
        body="u = Reshape(a, grouped) t = Transpose<perm=[0,2,1,3,4]>(u) m = Reshape(t, flat)",
        nodes=("m",),
        kernels=("Gather",),
    ),
    Pattern(name="Slice", body="m = Slice(a, starts, ends, axes)", nodes=("m",), kernels=("Slice",), read=0.5),
    Pattern(name="Gather", body="m = Gather<axis=1>(a, index)", nodes=("m",), kernels=("Gather",), read=0.5),
    Pattern(name="Pad", body="m = Pad(a, pads)", nodes=("m",), kernels=("Pad",)),
    Pattern(
        name="Flatten, Unsqueeze",
        body="p = GlobalAveragePool(a) f = Flatten(p) m = Unsqueeze(f, spatial)",
        nodes=("p", "f", "m"),
        kernels=("QLinearGlobalAveragePool",),
    ),
    Pattern(
        name="Squeeze, Expand",
        body="p = GlobalAveragePool(a) s = Squeeze(p, spatial) r = Relu(s) u = Unsqueeze(r, spatial) "
        "m = Expand(u, whole)",
        nodes=("p", "s", "r", "u", "m"),
        kernels=("Expand",),
    ),
    Pattern(name="Tile", body="m = Tile(a, twice)", nodes=("m",), kernels=("Tile",)),
    Pattern(name="SpaceToDepth", body="m = SpaceToDepth<blocksize=2>(a)", nodes=("m",), kernels=("Transpose",), read=4),
    Pattern(
        name="DepthToSpace", body="m = DepthToSpace<blocksize=2>(a)", nodes=("m",), kernels=("Transpose",), read=0.25
    ),
    Pattern(
        name="ConvTranspose 2x2, stride 2",
        body="m = ConvTranspose<strides=[2,2]>(a, wt, b)",
        nodes=("m", "m/tile"),
        kernels=("Transpose",),
    ),
    Pattern(
        name="BatchNormalization, Relu", body="n = BatchNormalization(a, one, b, b, one) m = Relu(n)", nodes=("n", "m")
    ),
)
FLOAT = (
    Pattern(name="Gelu", body="m = Gelu(a)", nodes=("m",)),
    Pattern(name="Tanh", body="m = Tanh(a)", nodes=("m",)),
    Pattern(name="Resize, linear", body='m = Resize<mode="linear">(a, , scales)', nodes=("m",)),
    Pattern(
        name="ConvTranspose 3x3, stride 2",
        body="m = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(a, wt3, b)",
        nodes=("m",),
    ),
    Pattern(name="LayerNormalization", body="m = LayerNormalization(a, width)", nodes=("m",)),
)


def model_of(pattern: Pattern, channels: int, side: int) -> ir.Model:
    """The pattern between two convolutions, its constants drawn from a seed, in the form that is quantized."""
    conv = "Conv<pads=[1,1,1,1]>"
    header = f"float[N,{channels},{side},{side}] x"
    body = f"a = {conv}(x, w, b) {pattern.body} y = {conv}(m, last, b)"
    text = f'<ir_version: 10, opset_import: ["" : 20]> main ({header}) => (float[N,d1,d2,d3] y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    constants = _constants(channels, side, round(channels * pattern.read))
    used = {name for node in proto.graph.node for name in node.input}
    for name in sorted(used & constants.keys()):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(constants[name], name))
    for node in proto.graph.node:
        node.name = "split" if node.op_type == "Split" else node.output[0]
    return prepare_for_integers(ir.from_proto(onnx.shape_inference.infer_shapes(proto))).model


def entry_of(inputs: int, kernel: int, width: int, depthwise: int | None, side: int) -> ir.Model:
    """A network's first convolution ``a``, a depthwise ``d`` behind it where its kernel is given, and two more."""
    pads, around = kernel // 2, (depthwise or 1) // 2
    first = f"a = Conv<strides=[2,2], pads=[{pads},{pads},{pads},{pads}]>(x, w) r = Relu(a)"
    second = f"d = Conv<group={width}, pads=[{around},{around},{around},{around}]>(r, wd) s = Relu(d)"
    body = f"{first} {second}" if depthwise else first
    rest = f"p = Conv({'s' if depthwise else 'r'}, wp) t = Relu(p) q = Conv(t, wq) y = Relu(q)"
    text = f"main (float[N,{inputs},{side},{side}] x) => (float[N,d1,d2,d3] y) {{ {body} {rest} }}"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {text}')
    shapes = {"w": (width, inputs, kernel, kernel), "wp": (2 * width, width, 1, 1), "wq": (2 * width, 2 * width, 1, 1)}
    if depthwise:
        shapes["wd"] = (width, 1, depthwise, depthwise)
    for seed, (name, shape) in enumerate(shapes.items()):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(_draw(*shape, seed=seed), name))
    for node in proto.graph.node:
        node.name = node.output[0]
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def _draw(*shape: int, seed: int) -> NDArray[np.float32]:
    """Weights that keep the variance."""
    scale = np.sqrt(1 / np.prod(shape[1:], dtype=float))
    values: NDArray[np.float32] = (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)
    return values


def _constants(channels: int, side: int, read: int) -> dict[str, NDArray[Any]]:
    def integers(*values: int) -> NDArray[np.int64]:
        return np.array(values, np.int64)

    half = channels // 2
    return {
        "w": _draw(channels, channels, 3, 3, seed=1),
        "w1": _draw(channels, channels, 1, 1, seed=2),
        "wt": _draw(channels, channels, 2, 2, seed=3),
        "wt3": _draw(channels, channels, 3, 3, seed=3),
        "last": _draw(channels, read, 3, 3, seed=4),
        "b": _draw(channels, seed=5) * np.float32(0.2),
        "k": 1 + 0.2 * _draw(side, side, seed=6),
        "one": np.abs(1 + 0.2 * _draw(channels, seed=7)),
        "width": np.ones(side, np.float32),
        "zero": np.array(0, np.float32),
        "six": np.array(6, np.float32),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "grouped": integers(0, 2, half, side, side),
        "flat": integers(0, channels, side, side),
        "spatial": integers(2, 3),
        "whole": integers(1, 1, side, side),
        "twice": integers(1, 1, 2, 2),
        "starts": integers(half),
        "ends": integers(channels),
        "axes": integers(1),
        "index": np.arange(0, channels, 2),
        "pads": integers(0, 0, 1, 1, 0, 0, 1, 1),
    }
