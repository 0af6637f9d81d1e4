"""Files with control flow: a branch that the input decides or a constant does, a loop of a fixed length."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.foreign.writing import Drawn, Writer, declared, normal

WIDTH = 8


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """Dense layers around an If or a Loop whose inner layers have weights of their own, or share the outer ones."""
    write = Writer(rng, opset, lambda kind, count: f"{kind}_{count}")
    x = write.op("Relu", write.op("MatMul", "x", write.weight(6, WIDTH)))
    outputs = [declared("y", ["N", 4])]
    for _ in range(rng.integers(1, 3)):
        x = _branch(write, x) if rng.random() < 0.5 else _loop(write, x)
    if rng.random() < 0.5:
        write.op("Softmax", x, axis=1, name="z")
        outputs.append(declared("z", ["N", WIDTH]))
    write.op("MatMul", x, write.weight(WIDTH, 4), name="y")
    return Drawn(model=write.model([declared("x", ["N", 6])], outputs, "by hand"), inputs={"x": normal(6)})


def _inner(write: Writer, x: str, weight: str, kind: str) -> tuple[str, list[onnx.NodeProto]]:
    product, output = write.name("inner"), write.name("inner")
    return output, [
        helper.make_node("MatMul", [x, weight], [product]),
        helper.make_node(kind, [product], [output]),
    ]


def _branch(write: Writer, x: str) -> str:
    if write.rng.random() < 0.5:
        condition = write.constant(np.array(bool(write.rng.random() < 0.5)), "go")
    else:
        limit = write.constant(np.float32(0))
        total = write.op("ReduceSum", x, keepdims=0)
        condition = write.op("Greater", total, limit)
    shared = write.weight(WIDTH, WIDTH)
    graphs = []
    for kind in ("Relu", "Tanh"):
        weight = shared if write.rng.random() < 0.5 else write.weight(WIDTH, WIDTH)
        output, nodes = _inner(write, x, weight, kind)
        graphs.append(helper.make_graph(nodes, kind, [], [declared(output, ["N", WIDTH])]))
    return write.op("If", condition, then_branch=graphs[0], else_branch=graphs[1])


def _loop(write: Writer, x: str) -> str:
    trips, go = write.constant(np.array(int(write.rng.integers(1, 4)), np.int64)), write.constant(np.array(True))
    number, before, carried = (write.name(kind) for kind in ("i", "cond", "carried"))
    output, nodes = _inner(write, carried, write.weight(WIDTH, WIDTH), "Tanh")
    after = write.name("cond")
    nodes.append(helper.make_node("Identity", [before], [after]))
    body = helper.make_graph(
        nodes,
        "body",
        [
            declared(number, [], TensorProto.INT64),
            declared(before, [], TensorProto.BOOL),
            declared(carried, ["N", WIDTH]),
        ],
        [declared(after, [], TensorProto.BOOL), declared(output, ["N", WIDTH])],
    )
    return write.op("Loop", trips, go, x, body=body)
