"""Networks of one layer or two, one for each operator that an NPU takes between pairs, and data for them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.enclosure import enclosable
from edgecompress.recipe.tables import Quantization
from edgecompress.step import StepResult
from tests.exporters.graphs import draw

DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(3)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
ONE = np.ones(8, np.float32)
LAYERS: dict[str, tuple[str, dict[str, NDArray[np.generic]]]] = {
    "Add": ("y = Add(x, k)", {"k": draw(1, 4, 1, 1)}),
    "AveragePool": ("y = AveragePool<kernel_shape=[2,2]>(x)", {}),
    "Concat": ("r = Relu(x) y = Concat<axis=1>(r, x)", {}),
    "Conv": ("y = Conv<pads=[1,1,1,1]>(x, w, b)", {"w": draw(6, 4, 3, 3), "b": draw(6)}),
    "ConvTranspose": ("y = ConvTranspose<strides=[2,2]>(x, w)", {"w": draw(4, 3, 2, 2)}),
    "Div": ("y = Div(x, k)", {"k": np.full((1, 4, 1, 1), 3, np.float32)}),
    "Gelu": ("y = Gelu(x)", {}),
    "HardSigmoid": ("y = HardSigmoid(x)", {}),
    "HardSwish": ("y = HardSwish(x)", {}),
    "LayerNormalization": ("y = LayerNormalization(x, k, b)", {"k": ONE, "b": draw(8)}),
    "MatMul": ("y = MatMul(x, w)", {"w": draw(8, 5)}),
    "MaxPool": ("y = MaxPool<kernel_shape=[2,2]>(x)", {}),
    "Mul": ("s = Sigmoid(x) y = Mul(x, s)", {}),
    "PRelu": ("y = PRelu(x, k)", {"k": np.full((4, 1, 1), 0.25, np.float32)}),
    "ReduceMean": ("y = ReduceMean(x, a)", {"a": np.array([2, 3])}),
    "Resize": ('y = Resize<mode="nearest">(x, , k)', {"k": np.array([1, 1, 2, 2], np.float32)}),
    "Sigmoid": ("y = Sigmoid(x)", {}),
    "Softmax": ("y = Softmax(x)", {}),
    "Sub": ("y = Sub(x, k)", {"k": draw(1, 4, 1, 1)}),
    "Tanh": ("y = Tanh(x)", {}),
    "Transpose": ("y = Transpose<perm=[0,1,3,2]>(x)", {}),
}
"""A network of one layer or two for each operator."""


def enclose(model: ir.Model, recipe: Quantization, batches: Batches, progress: Progress) -> StepResult[ir.Model]:
    """A copy of a model in which pairs enclose every operator, of uint16 where the recipe names it."""
    return enclosable(model, recipe, batches, progress).enclose(recipe.uint16_activations)
