"""A file with one sample in every run, for compilers that take no dynamic shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.tools.onnx_model_utils import fix_output_shapes, make_dim_param_fixed

from edgecompress.arrays import Array, Inputs
from edgecompress.errors import EdgecompressError

AxesByName = Mapping[str, int | None]
"""The axis of the samples, by the name of an input or output; None for what has none."""


@dataclass(frozen=True, kw_only=True)
class SingleSamples:
    """Where the samples were in a file that has one in every run now; ``batch`` is None where its shapes were fixed."""

    batch: str | None
    inputs: AxesByName
    outputs: AxesByName

    def split(self, batches: Sequence[Inputs]) -> list[dict[str, Array]]:
        """The samples of all batches, each with an axis of length 1; the batches where the shapes were fixed."""
        return [sample for batch in batches for sample in self._samples(batch)]

    def join(self, batches: Sequence[Inputs], outputs: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """The outputs of each batch, of those of its samples."""
        left, joined = iter(outputs), []
        for batch in batches:
            taken = [next(left) for _ in range(self._rows(batch))]
            joined.append({name: self._joined(name, [each[name] for each in taken]) for name in taken[0]})
        return joined

    def _rows(self, batch: Inputs) -> int:
        sizes = (batch[name].shape[axis] for name, axis in self.inputs.items() if axis is not None)
        return next(sizes, 1)

    def _samples(self, batch: Inputs) -> Iterable[dict[str, Array]]:
        for row in range(self._rows(batch)):
            yield {name: _row(batch[name], axis, row) for name, axis in self.inputs.items()}

    def _joined(self, name: str, arrays: Sequence[Array]) -> Array:
        axis = self.outputs[name]
        return arrays[0] if axis is None else np.concatenate(arrays, axis)


def fix_batch(path: Path) -> SingleSamples:
    """Write a file again with one sample in every run, and a name for each node.

    Raises:
        EdgecompressError: another dimension than the batch is dynamic, or an output does not have the batch.
    """
    model = onnx.load(path)
    symbols = sorted({symbol for value in model.graph.input for symbol in _dynamic(value)})
    batch = _batch(model.graph.input, symbols)
    found = SingleSamples(batch=batch, inputs=_axes(model.graph.input, batch), outputs=_axes(model.graph.output, batch))
    alone = [name for name, axis in found.outputs.items() if batch is not None and axis is None]
    if alone:
        raise EdgecompressError(
            f"output {alone[0]!r} has no axis {batch!r}, and cannot be put together from single samples; set"
            " 'export.batch_size'"
        )
    if batch is not None:
        make_dim_param_fixed(model.graph, batch, 1)
        fix_output_shapes(model)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.save(model, path)
    return found


def _batch(inputs: Sequence[onnx.ValueInfoProto], symbols: Sequence[str]) -> str | None:
    """The only dynamic dimension, which is the first axis of an input, or is called ``batch``."""
    first = {_dynamic(value)[0] for value in inputs if _axis(value, next(iter(symbols), None)) == 0}
    if len(symbols) > 1 or not {*symbols} <= {*first, "batch"}:
        raise EdgecompressError(
            f"an NPU takes fixed shapes, and not dynamic {', '.join(map(repr, symbols))}; leave out"
            " 'export.dynamic_axes'"
        )
    return symbols[0] if symbols else None


def _dynamic(value: onnx.ValueInfoProto) -> list[str]:
    """The dynamic dimensions; one without a name is called by where it is."""
    dimensions = enumerate(value.type.tensor_type.shape.dim)
    return [d.dim_param or f"{value.name}[{i}]" for i, d in dimensions if d.WhichOneof("value") != "dim_value"]


def _axes(values: Iterable[onnx.ValueInfoProto], batch: str | None) -> dict[str, int | None]:
    return {value.name: _axis(value, batch) for value in values}


def _axis(value: onnx.ValueInfoProto, batch: str | None) -> int | None:
    names = [dimension.dim_param for dimension in value.type.tensor_type.shape.dim]
    return names.index(batch) if batch is not None and batch in names else None


def _row(array: Array, axis: int | None, row: int) -> Array:
    return array if axis is None else np.take(array, [row], axis)
