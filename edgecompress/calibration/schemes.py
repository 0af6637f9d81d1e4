"""Quantization schemes: what an integer means under FBGEMM and under QNNPACK.

A real value x is stored as q = round(x / scale) + zero_point, clipped to the integers of its type
(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"). The two schemes are those of the default qconfigs of PyTorch's ``torch.ao.quantization``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

EPSILON = float(np.finfo(np.float32).eps)
"""The scale of a tensor that is zero throughout, as PyTorch's observers give it."""
LEAST_ACTIVATION_SCALE, LEAST_WEIGHT_SCALE = 2.0**-80, 2.0**-40
"""Scales below which a tensor counts as zero. PyTorch's scales end at ``EPSILON``, which leaves fewer and fewer levels
to a faint signal, and then none; with these the product of two scales, that of a bias, still is a normal float32."""


BYTE = 255
"""The largest code of 8 bits."""

WEIGHT_BITS = 8
"""What a weight has, where a recipe asks for no fewer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantParams:
    """Scale and zero point of one tensor.

    ``scale`` is float32 and ``zero_point`` has the integer dtype, both of shape () per tensor or
    (channels,) along ``axis``. ``bits`` are those that a signed integer uses; None for all of its type.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.integer[Any]]
    axis: int | None = None
    bits: int | None = None

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """The integer type that values are stored in."""
        return self.zero_point.dtype

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the largest integer."""
        limits = np.iinfo(self.dtype)
        return (int(limits.min), int(limits.max)) if self.bits is None else weight_ends(self.bits)

    def quantize(self, values: NDArray[np.floating[Any]]) -> NDArray[np.integer[Any]]:
        """Integers of ``dtype`` with the shape of ``values``; ties round to even, as in ONNX."""
        codes = np.rint(values / self.spread(self.scale, values.ndim))
        codes += self.spread(self.zero_point, values.ndim)
        stored: NDArray[np.integer[Any]] = np.clip(codes, *self.ends).astype(self.dtype)
        return stored

    def dequantize(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Float32 values with the shape of ``codes``."""
        offset = codes.astype(np.float32) - self.spread(self.zero_point, codes.ndim).astype(np.float32)
        values: NDArray[np.float32] = (offset * self.spread(self.scale, codes.ndim)).astype(np.float32)
        return values

    def spread(self, parameter: NDArray[Any], rank: int) -> NDArray[Any]:
        """A parameter of shape () or (channels,), so that it is broadcast along the axis of values of that rank."""
        if self.axis is None:
            return parameter
        return parameter.reshape([-1 if axis == self.axis else 1 for axis in range(rank)])


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Integer type and range of activations; weights are int8 symmetric under every scheme.

    ``quant_max`` is 127 where the product of an 8-bit activation and an 8-bit weight, added in pairs,
    would saturate in 16 bits (x86 without VNNI), and 255 elsewhere. ``narrow_weights`` avoids the same
    saturation from the other side: a coarser scale, of 7 bits at the coarsest, for the weights that could cause it.
    """

    name: str
    quant_max: int
    narrow_weights: bool = False

    @property
    def narrowed(self) -> str:
        """What 7 bits have to do for, in words."""
        return "weights" if self.narrow_weights else "activations" if self.quant_max < 255 else "nothing"

    def activation_params(self, low: float, high: float) -> QuantParams:
        """Affine parameters, per tensor, for values between ``low`` and ``high``; uint8 where that holds the codes.

        The range is widened to hold zero, so that padding and ReLU are exact.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(scale_of((high - low) / self.quant_max, LEAST_ACTIVATION_SCALE))
        zero_point = np.clip(-round(low / scale), 0, self.quant_max)
        dtype = np.uint8 if self.quant_max <= BYTE else np.uint16
        return QuantParams(scale=np.array(scale, np.float32), zero_point=np.array(zero_point, dtype))


FBGEMM = Scheme(name="fbgemm", quant_max=127)
FBGEMM_NARROW_WEIGHTS = Scheme(name="fbgemm, narrow weights", quant_max=255, narrow_weights=True)
QNNPACK = Scheme(name="qnnpack", quant_max=255)
UINT16 = Scheme(name="uint16", quant_max=65535)
"""Activations of an NPU; neither an engine of PyTorch's nor ONNX Runtime's CPU provider computes with these."""
SCHEMES = {scheme.name: scheme for scheme in (FBGEMM, QNNPACK)}


def scale_of(step: ArrayLike, least: float) -> NDArray[np.float64]:
    """The scale for steps of these sizes: the step itself, and ``EPSILON`` where it is below the least."""
    return np.where(np.asarray(step, np.float64) < least, EPSILON, step)


def weight_ends(bits: int) -> tuple[int, int]:
    """The least and the largest integer of a weight.

    >>> weight_ends(8), weight_ends(4)
    ((-128, 127), (-8, 7))
    """
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def weight_levels(bits: int) -> float:
    """Steps from zero to the largest weight of a tensor: half of all, as in PyTorch's observers of weights.

    >>> weight_levels(8), weight_levels(4)
    (127.5, 7.5)
    """
    return weight_ends(bits)[1] + 0.5


def weight_params(weight: NDArray[np.float32], axis: int | None, bits: int = WEIGHT_BITS) -> QuantParams:
    """int8 symmetric parameters of a weight, for each index along ``axis``, or per tensor for None."""
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis)
    peak = np.abs(weight.astype(np.float64)).max(axis=others)
    scale = weight_scale(peak, bits)
    return QuantParams(scale=scale, zero_point=np.zeros(np.shape(scale), np.int8), axis=axis, bits=bits)


def weight_scale(peak: NDArray[np.float64], bits: int = WEIGHT_BITS) -> NDArray[np.float32]:
    """The scale of int8 weights up to ``peak`` in magnitude that use so many bits."""
    return np.asarray(scale_of(peak / weight_levels(bits), LEAST_WEIGHT_SCALE), np.float32)
