"""The price of a crossing: what it costs on this CPU to turn floats into integers, or integers into floats.

Between a float and an integer convolution ONNX Runtime does more than to round: each has a layout of its own. All
of it is timed in its place, in a small network that crosses there and back, at two sizes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from edgecompress.timing.profiling import profile_nodes

SHAPES = (1, 32, 8, 8), (1, 32, 64, 64)
"""Of the value that crosses: one as good as empty, one of the size that early layers write."""
CONVOLUTIONS = ("Conv", "FusedConv", "QLinearConv")
THERE_AND_BACK = """
<ir_version: 9, opset_import: ["" : 20]>
there_and_back (float[{shape}] x) => (float[{shape}] y)
<float s = {{0.1}}, uint8 z = {{128}}, float t = {{0.1}}, int8 o = {{0}}, float[32,1,1,1] f = {{{floats}}},
 int8[32,1,1,1] w = {{{integers}}}>
{{
  a = Conv <group=32> (x, f)
  aq = QuantizeLinear (a, s, z)
  ad = DequantizeLinear (aq, s, z)
  wd = DequantizeLinear (w, t, o)
  b = Conv <group=32> (ad, wd)
  bq = QuantizeLinear (b, s, z)
  bd = DequantizeLinear (bq, s, z)
  y = Conv <group=32> (bd, f)
}}
"""


@dataclass(frozen=True, kw_only=True)
class CrossingPrice:
    """Milliseconds of one crossing, by the number of values that cross."""

    each: float
    value: float

    def of(self, values: int) -> float:
        """Milliseconds for so many values.

        >>> CrossingPrice(each=0.01, value=1e-6).of(50_000)
        0.06
        """
        return self.each + self.value * values

    def times(self, factor: float) -> CrossingPrice:
        """A price so many times as high."""
        return CrossingPrice(each=self.each * factor, value=self.value * factor)


@functools.cache
def crossing_price(threads: int) -> CrossingPrice:
    """The price on this machine, timed once in a process.

    Args:
        threads: those that the network will have.
    """
    sizes = [prod(shape) for shape in SHAPES]
    small, large = (_milliseconds(shape, threads) for shape in SHAPES)
    value = max(large - small, 0.0) / (sizes[1] - sizes[0])
    return CrossingPrice(each=max(small - value * sizes[0], 0.0), value=value)


def _milliseconds(shape: tuple[int, ...], threads: int) -> float:
    """Half of what everything takes that is no convolution: one crossing of two."""
    text = THERE_AND_BACK.format(
        shape=",".join(map(str, shape)), floats=",".join(["0.5"] * shape[1]), integers=",".join(["5"] * shape[1])
    )
    model = onnx.parser.parse_model(text).SerializeToString()
    inputs = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    nodes = profile_nodes(model, inputs, runs=30, threads=threads)
    return sum(node.median_ms for node in nodes if node.operator not in CONVOLUTIONS) / 2
