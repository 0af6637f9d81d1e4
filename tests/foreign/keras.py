"""Keras by tf2onnx: images are (rows, height, width, channels), with a Transpose before and behind each convolution."""

from __future__ import annotations

import numpy as np

from tests.foreign.writing import Drawn, Writer, declared, normal

SIDE = 16


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """A network of convolutions over NHWC images, with one to three outputs."""
    write = Writer(rng, opset, lambda kind, count: f"StatefulPartitionedCall/model/{kind.lower()}_{count}/{kind}:0")
    channels = int(rng.choice([1, 3, 4]))
    x, width = "input_1:0", channels
    side = SIDE
    for _ in range(rng.integers(2, 6)):
        x, width, side = _block(write, x, width, side)
    outputs = [_head(write, x, width, side, kind) for kind in rng.permutation(4)[: rng.integers(1, 4)]]
    rows = str(rng.choice(["unk__0", "batch", ""])) or -1
    declared_outputs = [declared(name, [rows, *sizes]) for name, sizes in outputs]
    model = write.model([declared("input_1:0", [rows, SIDE, SIDE, channels])], declared_outputs, "tf2onnx")
    return Drawn(model=model, inputs={"input_1:0": normal(SIDE, SIDE, channels)})


def _block(write: Writer, x: str, width: int, side: int) -> tuple[str, int, int]:
    kind = write.rng.choice(["conv", "strided", "depthwise", "residual", "dense", "pool", "concat"])
    if kind == "pool":
        pooled = write.op("MaxPool", _first(write, x), kernel_shape=[2, 2], strides=[2, 2])
        return _last(write, pooled), width, max(side // 2, 1)
    if kind == "dense":  # Dense on the last axis is a MatMul
        made = int(write.rng.integers(4, 17))
        return _activated(write, _biased(write, write.op("MatMul", x, write.weight(width, made)), made)), made, side
    made = width if kind in ("depthwise", "residual") else int(write.rng.integers(4, 17))
    y = _activated(write, _biased(write, _conv(write, x, width, made, str(kind)), made))
    if kind == "residual":
        y = write.op("Add", y, x)
    if kind == "concat":
        return write.op("Concat", y, x, axis=3), made + width, side
    return y, made, -(-side // 2) if kind == "strided" else side


def _conv(write: Writer, x: str, width: int, made: int, kind: str) -> str:
    size = int(write.rng.choice([1, 3]))
    group = width if kind == "depthwise" else 1
    weight = write.weight(made, width // group, size, size, kind="kernel")
    steps = [2, 2] if kind == "strided" else [1, 1]
    made_by = write.op("Conv", _first(write, x), weight, auto_pad="SAME_UPPER", strides=steps, group=group)
    return _last(write, made_by)


def _first(write: Writer, x: str) -> str:
    return write.op("Transpose", x, perm=[0, 3, 1, 2])


def _last(write: Writer, x: str) -> str:
    return write.op("Transpose", x, perm=[0, 2, 3, 1])


def _biased(write: Writer, x: str, width: int) -> str:
    """A batch norm as factors and offsets, or a bias alone."""
    if write.rng.random() < 0.5:
        x = write.op("Mul", x, write.constant(write.rng.uniform(0.5, 2, width).astype(np.float32)))
    return write.op("Add", x, write.constant(write.rng.standard_normal(width).astype(np.float32) / 4))


def _activated(write: Writer, x: str) -> str:
    kind = write.rng.choice(["Relu", "relu6", "LeakyRelu", "Sigmoid", "swish", "Elu", "PRelu", "Tanh"])
    if kind == "relu6":
        return write.clip(x, 0.0, 6.0)
    if kind == "swish":
        return write.op("Mul", x, write.op("Sigmoid", x))
    if kind == "PRelu":
        return write.op("PRelu", x, write.constant(np.full((1, 1, 1), 0.1, np.float32)))
    return write.op(str(kind), x)


def _head(write: Writer, x: str, width: int, side: int, kind: int) -> tuple[str, list[int]]:
    """Classes, a map, flat features, or scores of every place."""
    if kind == 1:
        return write.op("Sigmoid", x, name=f"map_{write.name('m')}"), [side, side, width]
    if kind == 3:
        return write.op("Softmax", x, axis=3, name=f"places_{write.name('s')}"), [side, side, width]
    if kind == 2:
        flat = write.reshape(x, -1, side * side * width)
        return write.op("MatMul", flat, write.weight(side * side * width, 6), name="features"), [6]
    classes = int(write.rng.integers(2, 11))
    pooled = write.mean(x, [1, 2], keep=False)
    scores = _biased(write, write.op("MatMul", pooled, write.weight(width, classes)), classes)
    return write.op("Softmax", scores, axis=1, name="Identity:0"), [classes]
