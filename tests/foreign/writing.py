"""Graphs written node by node, in the form that operators have in an opset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Blank = Callable[[np.random.Generator, int], Array]
"""Values for an input, of so many samples."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A model and how its inputs are made up; ``rows`` where it takes so many samples and no other number."""

    model: onnx.ModelProto
    inputs: Mapping[str, Blank]
    rows: int | None = None


def normal(*shape: int, axis: int = 0) -> Blank:
    """Normal values of that shape for each sample, and the samples along an axis."""
    return lambda rng, rows: rng.standard_normal((*shape[:axis], rows, *shape[axis:])).astype(np.float32)


def between(low: float, high: float) -> Blank:
    """A number for all samples."""
    return lambda rng, _: np.array(rng.uniform(low, high), np.float32)


def below(limit: int, *shape: int) -> Blank:
    """Indices."""
    return lambda rng, rows: rng.integers(0, limit, (rows, *shape))


class Writer:
    """A graph that grows; ``call`` names what an operator computes, the so-manieth of its kind."""

    def __init__(self, rng: np.random.Generator, opset: int, call: Callable[[str, int], str]) -> None:
        self.rng, self.opset, self._call = rng, opset, call
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._counts: dict[str, int] = {}

    def name(self, kind: str) -> str:
        """A new name."""
        self._counts[kind] = self._counts.get(kind, -1) + 1
        return self._call(kind, self._counts[kind])

    def constant(self, array: Any, kind: str = "const") -> str:
        """An initializer."""
        name = self.name(kind)
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape: int, kind: str = "weight") -> str:
        """Weights that keep the variance, some channels larger than others."""
        spread = 2.0 ** self.rng.uniform(-1.5, 1.5, (shape[0], *[1] * (len(shape) - 1)))
        fan = max(1, int(np.prod(shape[1:])) if len(shape) > 2 else shape[0])
        return self.constant((self.rng.standard_normal(shape) * spread / np.sqrt(fan)).astype(np.float32), kind)

    def op(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node with one output."""
        output = name or self.name(kind)
        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """A node with several outputs."""
        outputs = [self.name(kind) for _ in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs

    def clip(self, x: str, low: float, high: float) -> str:
        """Limits are attributes before opset 11."""
        if self.opset < 11:
            return self.op("Clip", x, min=low, max=high)
        return self.op("Clip", x, self.constant(np.float32(low)), self.constant(np.float32(high)))

    def mean(self, x: str, axes: Sequence[int], *, keep: bool) -> str:
        """Axes are an attribute before opset 18."""
        if self.opset < 18:
            return self.op("ReduceMean", x, axes=axes, keepdims=int(keep))
        return self.op("ReduceMean", x, self.constant(np.array(axes, np.int64)), keepdims=int(keep))

    def squeezed(self, kind: str, x: str, axes: Sequence[int]) -> str:
        """Squeeze or Unsqueeze; axes are an attribute before opset 13."""
        if self.opset < 13:
            return self.op(kind, x, axes=axes)
        return self.op(kind, x, self.constant(np.array(axes, np.int64)))

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Sizes are an attribute before opset 13."""
        if self.opset < 13:
            return self.ops("Split", len(sizes), x, axis=axis, split=sizes)
        return self.ops("Split", len(sizes), x, self.constant(np.array(sizes, np.int64)), axis=axis)

    def part(self, x: str, start: int, end: int, axis: int) -> str:
        """A Slice, whose limits are attributes before opset 10."""
        if self.opset < 10:
            return self.op("Slice", x, starts=[start], ends=[end], axes=[axis])
        return self.op("Slice", x, *(self.constant(np.array([each], np.int64)) for each in (start, end, axis)))

    def upsample(self, x: str) -> str:
        """Twice as high and wide."""
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        mode = str(self.rng.choice(["nearest", "linear"]))
        if self.opset < 11:
            return self.op("Upsample" if self.opset < 10 else "Resize", x, scales, mode=mode)
        nothing = self.constant(np.zeros(0, np.float32))
        return self.op("Resize", x, nothing, scales, mode=mode, coordinate_transformation_mode="asymmetric")

    def reshape(self, x: str, *sizes: int) -> str:
        """Sizes as in ONNX: 0 as it was, -1 the rest."""
        return self.op("Reshape", x, self.constant(np.array(sizes, np.int64)))

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], producer: str
    ) -> onnx.ModelProto:
        """The file; every so often with the weights among the inputs, as before IR version 4."""
        given = list(inputs)
        opset = helper.make_opsetid("", self.opset)
        version = helper.find_min_ir_version_for([opset])
        if version < 4 or self.rng.random() < 0.1:
            given += [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in self.constants]
        graph = helper.make_graph(self.nodes, "main_graph", given, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[opset], ir_version=version, producer_name=producer)


def declared(name: str, sizes: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """An input or output with a shape."""
    return helper.make_tensor_value_info(name, kind, sizes)
