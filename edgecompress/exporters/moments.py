"""Input moments of layers: what a change of a layer's weights does to its outputs, in one matrix.

A convolution, like a matrix product, multiplies its weights by columns of inputs: E||dW x||^2 is
dW E[x x^T] dW^T, whatever dW is. Mean and second moment add up over the data, so that no activation
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad, unfold

from edgecompress.data import Array, Batch, Batches
from edgecompress.exporters.graph import constant
from edgecompress.progress import Progress
from edgecompress.runtime import ALL_CORES, fixed_rows, open_session, run_session

POSITIONS = 256
"""Output positions of one sample that count; neighbours say the same."""
SAMPLES = 64
"""Calibration samples that are read: with as many positions of each, columns enough for any layer."""
RUN_ROWS = 4
"""Samples in one run, which returns the inputs of all layers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Sums over columns of inputs, for each group: ``first`` (groups, k), ``second`` (groups, k, k), float32."""

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    count: int

    @property
    def mean(self) -> NDArray[np.float32]:
        """E[x], of shape (groups, k)."""
        return self.first / np.float32(self.count)

    @property
    def covariance(self) -> NDArray[np.float32]:
        """E[x x^T] - E[x] E[x]^T, of shape (groups, k, k)."""
        covariance = self.second / np.float32(self.count)
        covariance -= self.mean[:, :, None] * self.mean[:, None, :]
        return covariance

    def shrink(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """A (groups, k, k) moment with k columns' worth of doubt in what lies off its diagonal.

        Few columns correlate by chance; a rounding that trusts them is wrong on others.
        """
        size = matrix.shape[-1]
        diagonal = np.arange(size)
        shrunk = matrix * np.float32(self.count / (self.count + size))
        shrunk[:, diagonal, diagonal] = matrix[:, diagonal, diagonal]
        return shrunk

    def add(self, columns: NDArray[np.float32]) -> Moments:
        """With more columns, of shape (groups, k, n)."""
        second = columns @ columns.transpose(0, 2, 1)
        second += self.second
        return Moments(
            first=self.first + columns.sum(axis=2),
            second=second,
            count=self.count + columns.shape[2],
        )


def input_moments(model: ir.Model, layers: Sequence[str], batches: Batches, progress: Progress) -> dict[str, Moments]:
    """Moments of the inputs of Conv, Gemm and MatMul nodes with constant weights, by name of node.

    Args:
        model: float, not modified.
        layers: names of the nodes.
        batches: calibration data; the first ones are read.
        progress: told of every batch.
    """
    watched = model.clone()
    nodes = [node for node in watched.graph if node.name in layers]
    sources = {str(node.inputs[0].name): node.inputs[0] for node in nodes if node.inputs[0] is not None}
    given = {str(value.name) for value in watched.graph.inputs}
    names = [name for name in sources if name not in given]
    watched.graph.outputs.clear()
    watched.graph.outputs.extend(sources[name] for name in names)
    session = open_session(watched, ALL_CORES, background=True) if names else None
    splits = fixed_rows(model) is None
    moments: dict[str, Moments] = {}
    for batch in progress.track(_first_samples(batches, splits), "input moments"):
        step = RUN_ROWS if splits else batch.rows
        for run in (batch.slice(start, start + step) for start in range(0, batch.rows, step)):
            outputs = run_session(session, run.inputs) if session else []
            _add(moments, nodes, {**run.inputs, **dict(zip(names, outputs, strict=True))})
    return moments


def _first_samples(batches: Batches, splits: bool) -> Iterator[Batch]:
    """Whole batches until there are samples enough, the last one cut where the model ``splits`` batches."""
    left = SAMPLES
    for batch in batches:
        yield batch.slice(0, left) if splits else batch
        left -= batch.rows
        if left <= 0:
            return


def _add(moments: dict[str, Moments], nodes: Sequence[ir.Node], values: Mapping[str, Array]) -> None:
    for node in nodes:
        source = node.inputs[0]
        assert source is not None
        columns = input_columns(node, values[str(source.name)])
        groups, size, _ = columns.shape
        name = str(node.name)
        if name not in moments:
            first, second = np.zeros((groups, size), np.float32), np.zeros((groups, size, size), np.float32)
            moments[name] = Moments(first=first, second=second, count=0)
        moments[name] = moments[name].add(columns)


def input_columns(layer: ir.Node, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The columns that a layer's weights are multiplied by, at some output positions.

    Args:
        layer: a Conv over two dimensions, a Gemm, or a MatMul.
        values: its input; (rows, channels, height, width) for a Conv.

    Returns:
        float32 of shape (groups, k, n): k weights of one output channel, n columns.
    """
    if layer.op_type != "Conv":
        flat = values.reshape(-1, values.shape[-1])
        return np.ascontiguousarray(_some(flat, len(values) * POSITIONS).T[None])
    weight = constant(layer.inputs[1])
    assert weight is not None
    groups, kernel = layer.attributes.get_int("group", 1), weight.shape[2:]
    top, left, bottom, right = layer.attributes.get_ints("pads", [0, 0, 0, 0])
    padded = pad(torch.from_numpy(values), (left, right, top, bottom))
    dilation, stride = layer.attributes.get_ints("dilations", [1, 1]), layer.attributes.get_ints("strides", [1, 1])
    patches = unfold(padded, kernel, dilation=tuple(dilation), stride=tuple(stride)).numpy()
    chosen = np.stack([_some(one.T, POSITIONS) for one in patches])
    rows, positions, size = chosen.shape
    by_group = chosen.reshape(rows * positions, groups, size // groups)
    return np.ascontiguousarray(by_group.transpose(1, 2, 0))


def _some(columns: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Evenly spaced rows, ``most`` or a few fewer."""
    return columns[:: max(1, -(-len(columns) // most))]
