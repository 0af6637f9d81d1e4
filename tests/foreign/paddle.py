"""Paddle by paddle2onnx: dimensions of -1, Constant nodes in place of initializers, batch norms that stay."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from tests.foreign.writing import Drawn, Writer, declared, normal

SIDE = 16


class _Writer(Writer):
    """Constants are nodes."""

    def constant(self, array: Any, kind: str = "const") -> str:
        if self.rng.random() < 0.3:
            return super().constant(array, kind)
        return self.op("Constant", value=numpy_helper.from_array(np.asarray(array)))


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """A network of convolutions with one to three outputs."""
    write = _Writer(rng, opset, lambda kind, count: f"{kind.lower()}2d_{count}.tmp_0")
    x, width, side = "x", 3, SIDE
    for _ in range(rng.integers(2, 6)):
        x, width, side = _block(write, x, width, side)
    outputs = [_head(write, x, width, side, number) for number in range(rng.integers(1, 4))]
    size = SIDE if rng.random() < 0.7 else -1
    given = declared("x", [-1, 3, size, size])
    return Drawn(
        model=write.model([given], [declared(name, sizes) for name, sizes in outputs], "PaddlePaddle"),
        inputs={"x": normal(3, SIDE, SIDE)},
    )


def _block(write: Writer, x: str, width: int, side: int) -> tuple[str, int, int]:
    kind = write.rng.choice(["conv", "depthwise", "excited", "up", "shuffle", "pool", "transposed"])
    if kind == "up" and side <= SIDE:
        return write.upsample(x), width, side * 2
    if kind == "pool":
        pool = str(write.rng.choice(["MaxPool", "AveragePool"]))
        return write.op(pool, x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), width, -(-side // 2)
    if kind == "excited":
        gate = write.op("GlobalAveragePool", x)
        gate = write.op("Relu", _conv(write, gate, width, 4, 1))
        gate = write.op("HardSigmoid", _conv(write, gate, 4, width, 1), alpha=0.2, beta=0.5)
        return write.op("Mul", x, gate), width, side
    if kind == "transposed" and side <= SIDE:
        weight = write.weight(width, 6, 2, 2)
        return write.op("ConvTranspose", x, weight, strides=[2, 2], kernel_shape=[2, 2]), 6, side * 2
    made = width if kind == "depthwise" else 2 * int(write.rng.integers(2, 9))
    y = _activated(write, _normed(write, _conv(write, x, width, made, 3, depthwise=kind == "depthwise"), made))
    if kind == "shuffle":
        halves = write.split(y, [made // 2, made // 2], 1)
        y = write.op("Concat", halves[1], write.op("Relu", halves[0]), axis=1)
    return y, made, side


def _conv(write: Writer, x: str, width: int, made: int, size: int, *, depthwise: bool = False) -> str:
    group = width if depthwise else 1
    weight = write.weight(made, width // group, size, size, kind="conv_w")
    pads, sizes = [size // 2] * 4, [size, size]
    return write.op("Conv", x, weight, group=group, pads=pads, kernel_shape=sizes, dilations=[1, 1], strides=[1, 1])


def _normed(write: Writer, x: str, width: int) -> str:
    draw = write.rng.uniform
    values = [draw(low, high, width) for low, high in ((0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2.0))]
    given = [write.constant(value.astype(np.float32), "batch_norm") for value in values]
    return write.op("BatchNormalization", x, *given, epsilon=1e-5, momentum=0.9)


def _activated(write: Writer, x: str) -> str:
    kind = write.rng.choice(["Relu", "relu6", "hard_swish", "LeakyRelu", "mish", "none"])
    if kind == "relu6":
        return write.clip(x, 0.0, 6.0)
    if kind == "hard_swish":
        gate = write.clip(write.op("Add", x, write.constant(np.array([3], np.float32))), 0.0, 6.0)
        return write.op("Div", write.op("Mul", x, gate), write.constant(np.array([6], np.float32)))
    if kind == "mish":
        return write.op("Mul", x, write.op("Tanh", write.op("Softplus", x)))
    return x if kind == "none" else write.op(str(kind), x)


def _head(write: Writer, x: str, width: int, side: int, number: int) -> tuple[str, list[int]]:
    """Classes, features, or a map; the last with a rank that is wrong every so often."""
    name = f"save_infer_model/scale_{number}.tmp_0"
    kind = write.rng.integers(3)
    if kind == 0:
        pooled = write.op("GlobalAveragePool", x)
        size = write.op("Shape", pooled)
        flat = write.op("Reshape", pooled, write.op("Concat", write.part(size, 0, 2, 0), axis=0))
        classes = int(write.rng.integers(2, 11))
        scores = write.op("Add", write.op("MatMul", flat, write.weight(width, classes)), write.weight(classes))
        return write.op("Softmax", scores, axis=1, name=name), [-1, classes]
    if kind == 1:
        channels = int(write.rng.integers(1, 7))
        made = write.op("Identity", _conv(write, x, width, channels, 1), name=name)
        return made, [-1, channels] if write.rng.random() < 0.3 else [-1, channels, -1, -1]
    return write.op("Sigmoid", x, name=name), [-1, width, -1, -1]
