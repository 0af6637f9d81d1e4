"""Graphs with If, Loop and Scan, written as text, for the tests of what is made of their bodies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike

from edgecompress.data.batches import Batches, InputNames
from tests.exporters.graphs import Array, draw

WIDTH = 32
W, V = draw(WIDTH, WIDTH) / WIDTH**0.5, draw(WIDTH, WIDTH, seed=1) / WIDTH**0.5
DATA = [draw(4, WIDTH, seed=seed) for seed in range(2, 6)]
CHAIN = "{a} = MatMul({x}, w) {b} = Tanh({a}) {y} = MatMul({b}, v)"
"""Two products; ``chain`` names what they read and write."""
BRANCH = f"float[N,{WIDTH}]"
CONDITION = "s = ReduceSum<keepdims=0>(x) c = Greater(s, zero)"
LOOP = "(int64 i, bool go, float[N,{width}] h) => (bool on, float[N,{width}] n)"


def chain(x: str, y: str, name: str = "") -> str:
    """Two products in a row, from ``x`` to ``y``; ``name`` tells their inner values apart from others'."""
    return CHAIN.format(x=x, y=y, a=f"a{name}", b=f"b{name}")


def branching(then: str, other: str, condition: str = CONDITION) -> str:
    """An If, called ``y``, of two branches that write ``t`` and ``e``."""
    return (
        f"{condition} y = If(c) <then_branch = one () => ({BRANCH} t) {{ {then} }},"
        f" else_branch = two () => ({BRANCH} e) {{ {other} }}>"
    )


def looping(body: str, trips: str = "three", condition: str = "go", around: str = "x") -> str:
    """A Loop, called ``y``, whose body makes ``n`` of ``h``, and goes on as ``condition`` says."""
    return (
        f"y = Loop({trips}, yes, {around})"
        f" <body = round {LOOP.format(width=WIDTH)} {{ {body} on = Identity({condition}) }}>"
    )


def flow(body: str, **constants: ArrayLike) -> ir.Model:
    """A model ``float[N,32] x -> y``; nodes are called after what they compute, in bodies too."""
    text = f'<ir_version: 10, opset_import: ["" : 20]> main ({BRANCH} x) => ({BRANCH} y) {{ {body} }}'
    proto = onnx.parser.parse_model(text)
    known: dict[str, ArrayLike] = {"w": W, "v": V, "zero": np.float32(0), "three": np.int64(3), "yes": np.array(True)}
    known |= constants
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in known.items())
    _name(proto.graph)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def _name(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        node.name = node.output[0]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _name(attribute.g)


def batches_of(data: Sequence[Array] = DATA) -> Batches:
    """Calibration data for the input ``x``."""
    return Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))


def drawn_flow(rng: np.random.Generator, depth: int = 2) -> ir.Model:
    """Residual layers in a row, some of them in branches and loops, and in branches and loops of these.

    Conditions are on the input, so that no rounding decides which branch is taken.
    """
    count = itertools.count()
    weights: dict[str, ArrayLike] = {}

    def layer(x: str, y: str, depth: int) -> str:
        number = next(count)
        kind = rng.choice(["If", "Loop", "plain"]) if depth else "plain"
        if kind == "plain":
            weights[f"w{number}"] = draw(WIDTH, WIDTH, seed=int(rng.integers(2**31))) / 2 / WIDTH**0.5
            return f"m{number} = MatMul({x}, w{number}) t{number} = Tanh(m{number}) {y} = Add({x}, t{number})"
        if kind == "Loop":
            weights[f"k{number}"] = np.int64(rng.integers(1, 4))
            names = {"(int64 i, bool go": f"(int64 i{number}, bool g{number}", " h)": f" h{number})"}
            names |= {
                "bool on": f"bool o{number}",
                "on =": f"o{number} =",
                "] n)": f"] n{number})",
                "go)": f"g{number})",
            }
            text = looping(row(f"h{number}", f"n{number}", depth - 1), f"k{number}", around=x)
            for old, new in names.items():
                text = text.replace(old, new)
            return text.replace("y = Loop", f"{y} = Loop", 1)
        weights[f"l{number}"] = np.float32(rng.normal() * WIDTH**0.5)
        condition = f"s{number} = ReduceSum<keepdims=0>(x) c{number} = Greater(s{number}, l{number})"
        then, other = (row(x, f"{end}{number}", depth - 1) for end in "ef")
        return (
            f"{condition} {y} = If(c{number}) <then_branch = one () => ({BRANCH} e{number}) {{ {then} }},"
            f" else_branch = two () => ({BRANCH} f{number}) {{ {other} }}>"
        )

    def row(x: str, y: str, depth: int) -> str:
        middle = f"r{next(count)}"
        return layer(x, middle, depth) + " " + layer(middle, y, depth) if rng.random() < 0.3 else layer(x, y, depth)

    text = row("x", "y", depth)
    return flow(text, **weights)
