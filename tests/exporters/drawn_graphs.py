"""Graphs drawn at random: every value is float[N,4,8,8], so that any operator can follow any other."""

from __future__ import annotations

import re

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from tests.exporters.graphs import draw, graph

AROUND = "kernel_shape=[3,3], strides=[1,1], pads=[1,1,1,1]"
ONE_INPUT = (
    *("Conv<pads=[1,1,1,1]>({a}, w)", "Conv<pads=[1,1,1,1]>({a}, v, b)", "Conv<group=4>({a}, thin)"),
    *("Relu({a})", "Clip({a}, zero, two)", "Sigmoid({a})", "Softmax<axis=1>({a})", "LeakyRelu({a})", "Tanh({a})"),
    *(f"MaxPool<{AROUND}>({{a}})", f"AveragePool<{AROUND}>({{a}})", "Transpose<perm=[0,1,3,2]>({a})"),
    *("Add({a}, b4)", "Mul({a}, b4)", "MatMul({a}, square)", "HardSigmoid({a})"),
    "ConvTranspose<pads=[1,1,1,1]>({a}, w)",
)
TWO_INPUTS = ("Add({a}, {b})", "Mul({a}, {b})", "Where(even, {a}, {b})", "MatMul({a}, {b})", "Concat<axis=1>({a}, {b})")
CONSTANTS = {
    "w": draw(4, 4, 3, 3) * np.float32(0.2),
    "v": draw(4, 4, 3, 3, seed=1) * np.float32(0.2),
    "thin": draw(4, 1, 1, 1, seed=2),
    "b": draw(4, seed=3),
    "b4": draw(4, 1, 1, seed=4),
    "square": draw(8, 8, seed=5) * np.float32(0.3),
    "zero": np.array(0, np.float32),
    "two": np.array(2, np.float32),
    "even": np.arange(8) % 2 == 0,
    "half": np.array([4], np.int64),
    "none": np.array([0], np.int64),
    "channels": np.array([1], np.int64),
}


@st.composite
def drawn_graphs(draw_: st.DrawFn, least: int = 3, most: int = 9) -> ir.Model:
    """A model ``x -> y`` of so many operators, named by what they compute; each reads what came before."""
    values, body = ["x"], list[str]()
    for place in range(draw_(st.integers(least, most))):
        template = draw_(st.sampled_from((*ONE_INPUT, *TWO_INPUTS)))
        near = st.sampled_from(values[-3:])  # so that chains are long, and much is read twice
        a, b, name = draw_(near), draw_(near), f"n{place}"
        written = f"{name}_wide" if template.startswith("Concat") else name
        body.append(f"{written} = {template.format(a=a, b=b)}")
        if written != name:
            body.append(f"{name} = Slice({written}, none, half, channels)")
        values.append(name)
    body.append(f"y = Conv<pads=[1,1,1,1]>({values[-1]}, w)" if draw_(st.booleans()) else f"y = Tanh({values[-1]})")
    text = " ".join(body)
    read = set(re.findall(r"\w+", text))
    return graph(text, **{name: array for name, array in CONSTANTS.items() if name in read})
