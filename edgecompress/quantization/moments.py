"""Input moments of layers: what a change of a layer's weights does to its outputs, in two matrices.

A convolution, like a matrix product, multiplies its weights by columns of inputs. With x what the float model
gives the layer and q what the INT8 model does, E||(W + D) q - W x||^2 is D E[q q^T] D^T + 2 W E[(q - x) q^T] D^T, up
to a constant that D does not change. Means and second moments add up over the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad, unfold

from edgecompress.arrays import Array
from edgecompress.exporters.graph import constant

Floats = NDArray[np.float32]

POSITIONS = 256
"""Output positions of one sample that count; neighbours say the same."""
DOUBT = 16
"""Columns that tell no more than a single one drawn by itself: those of one image resemble each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Means and second moments of a layer's inputs, for each group of channels, float32.

    ``real`` and ``mean``, (groups, k), are of x, what the float model gives the layer, and of q, what the INT8 model
    gives it. ``second`` is E[q q^T] and ``error`` E[(q - x) q^T], (groups, k, k). ``count`` columns went in.
    """

    real: Floats
    mean: Floats
    second: Floats
    error: Floats
    count: int

    @property
    def centred(self) -> Moments:
        """Moments of the distances from the means."""
        shift = self.mean - self.real
        return replace(
            self,
            second=self.second - self.mean[:, :, None] * self.mean[:, None, :],
            error=self.error - shift[:, :, None] * self.mean[:, None, :],
        )

    @property
    def shrunk(self) -> Moments:
        """Moments with 16 k columns' worth of doubt in what correlates, be it two inputs or an input and an error.

        Few columns correlate by chance; a rounding that trusts them is wrong on others.
        """
        size = self.second.shape[-1]
        trust, diagonal = np.float32(self.count / (self.count + DOUBT * size)), np.arange(size)
        second = self.second * trust
        second[:, diagonal, diagonal] = self.second[:, diagonal, diagonal]
        return replace(self, second=second, error=self.error * trust)


def input_moments(layer: ir.Node, real: Iterable[Array], integer: Iterable[Array]) -> Moments:
    """Moments of the inputs of a Conv, Gemm or MatMul with a constant weight.

    Args:
        layer: tells which inputs are multiplied by which weight.
        real: its input in the float model, run by run.
        integer: its input in the INT8 model on the same samples, as the floats that it stands for.
    """
    total: list[Floats] = []
    count = 0
    for x, q in _many_columns(layer, zip(real, integer, strict=True)):
        transposed = q.transpose(0, 2, 1)
        sums = [x.sum(axis=2), q.sum(axis=2), q @ transposed, (q - x) @ transposed]
        total = [np.add(before, more, out=before) for before, more in zip(total, sums, strict=True)] if total else sums
        count += x.shape[2]
    for moment in total:
        moment /= np.float32(count)
    return Moments(real=total[0], mean=total[1], second=total[2], error=total[3], count=count)


def _many_columns(layer: ir.Node, runs: Iterable[tuple[Array, Array]]) -> Iterator[tuple[Floats, Floats]]:
    """The columns of both models, k at once or more: of fewer, adding up the products costs more than the products."""
    real: list[Floats] = []
    integer: list[Floats] = []
    for exact, rounded in runs:
        real.append(input_columns(layer, exact))
        integer.append(input_columns(layer, rounded))
        if sum(columns.shape[2] for columns in real) >= real[0].shape[1]:
            yield np.concatenate(real, axis=2), np.concatenate(integer, axis=2)
            real, integer = [], []
    if real:
        yield np.concatenate(real, axis=2), np.concatenate(integer, axis=2)


def input_columns(layer: ir.Node, values: Floats) -> Floats:
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
    chosen = np.stack([_some(patch.T, POSITIONS) for patch in patches])
    rows, positions, size = chosen.shape
    by_group = chosen.reshape(rows * positions, groups, size // groups)
    return np.ascontiguousarray(by_group.transpose(1, 2, 0))


def _some(columns: Floats, most: int) -> Floats:
    """Evenly spaced rows, ``most`` or a few fewer."""
    return columns[:: max(1, -(-len(columns) // most))]
