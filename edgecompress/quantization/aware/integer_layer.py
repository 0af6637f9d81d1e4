"""What is learned of one layer: its weight, the step of that, and its bias, as the integers that the file holds."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgecompress.calibration import QuantParams
from edgecompress.calibration.schemes import EPSILON, LEAST_WEIGHT_SCALE, WEIGHT_BITS, weight_ends, weight_levels
from edgecompress.quantization.aware.rounding_gradients import dequantize, quantize
from edgecompress.quantization.qdq import INT32_LIMIT
from edgecompress.quantization.weights import ROUNDED_PAIR_LIMIT

STEP_SHARE = 0.05
"""What one unit of a step's parameter changes in its logarithm."""
TYPICAL_CODE = 64
"""A bias counts in what this code of an input comes to with one step of a weight."""
BIAS_CODES = -(2**31), 2**31 - 128
"""The ends of int32 as far as float32 has them."""


class LearnedStep(nn.Module):
    """A step that stays positive: its parameter moves its logarithm (Jain et al. 2020).

    Args:
        start: float32 of shape () or (channels,).
    """

    start: Tensor

    def __init__(self, start: NDArray[np.float32]) -> None:
        super().__init__()
        self.register_buffer("start", torch.tensor(start))
        self.moved = nn.Parameter(torch.zeros_like(self.start))

    def forward(self) -> Tensor:
        """The step, float32 of the shape of ``start``."""
        return self.start * torch.exp(STEP_SHARE * self.moved)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What training made of a layer: floats that its grid rounds to the integers that were trained."""

    weight: NDArray[np.float32]
    params: QuantParams
    bias: NDArray[np.float32] | None


class IntegerLayer(nn.Module):
    """Weight and bias of a layer. Both are parameters in steps of their grids, so that one is a small change.

    Args:
        weight: a parameter in steps of ``unit``, which other layers may share.
        unit: float32 of shape () or (channels,): what one step of the parameter is.
        axis: the axis of the weight that holds the channels of ``unit``; None for one step.
        bias: float32 of shape (channels,), or None.
        source: the step of the layer's input, a float, where training starts.
        learns_step: whether the step is learned; without, it is the finest at which nothing is clipped or saturates.
        pair_axis: the axis of the output channels in which no two weights may then come to more than a pair holds;
            None where no pair counts.
        added: float32 of shape (channels,), what an Add puts on the sums of a layer without bias, or None.
        bits: of an integer of the weight.
    """

    unit: Tensor
    bias_unit: Tensor
    added: Tensor | None

    def __init__(
        self,
        weight: nn.Parameter,
        unit: NDArray[np.float32],
        axis: int | None,
        bias: NDArray[np.float32] | None,
        source: float,
        *,
        learns_step: bool,
        pair_axis: int | None,
        added: NDArray[np.float32] | None = None,
        bits: int = WEIGHT_BITS,
    ) -> None:
        super().__init__()
        self.axis, self.pair_axis, self.bits = axis, pair_axis, bits
        self.register_buffer("unit", torch.tensor(unit))
        self.register_buffer("bias_unit", torch.tensor(unit * np.float32(source * TYPICAL_CODE)))
        self.register_buffer("added", None if added is None else torch.tensor(added), persistent=False)
        self.weight = weight
        self.step = LearnedStep(unit) if learns_step else None
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias) / self.bias_unit)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weight and bias as the floats that their integers stand for; ``source`` is the step of the input."""
        real, zero = self._real(), source.new_zeros(())
        step = self._step(real, source)
        spread = self._spread(step)
        weight = dequantize(quantize(real, spread, zero, *weight_ends(self.bits)), spread, zero)
        if self.bias is None:
            return weight, None
        fine = source * step
        codes = quantize(self.bias * self.bias_unit, fine, zero, *BIAS_CODES)
        return weight, dequantize(codes, fine, zero)

    @torch.no_grad()
    def learned(self, source: Tensor) -> Learned:
        """The same as arrays."""
        real = self._real()
        found = self._step(real, source)
        spread, step = self._spread(found), found.cpu().numpy()
        low, high = (end * spread for end in weight_ends(self.bits))
        real = real.clamp(low, high)  # what a learned step leaves outside of its range
        params = QuantParams(scale=step, zero_point=np.zeros(step.shape, np.int8), axis=self.axis, bits=self.bits)
        bias = None if self.bias is None else (self.bias * self.bias_unit).cpu().numpy()
        return Learned(weight=real.cpu().numpy(), params=params, bias=bias)

    def _real(self) -> Tensor:
        return self.weight * self._spread(self.unit)

    def _step(self, real: Tensor, source: Tensor) -> Tensor:
        narrow = functools.partial(_narrow_step, real.detach(), self.axis, self.pair_axis, weight_levels(self.bits))
        step: Tensor = (self.step or narrow)()
        bias = self.added if self.bias is None else self.bias.detach() * self.bias_unit
        if bias is None:
            return step
        # As in the file: where a bias would leave INT32, the step of the weights is coarser.
        heavy = bias.abs() / (source.detach() * INT32_LIMIT)
        return torch.maximum(step, heavy if self.axis is not None else heavy.amax())

    def _spread(self, values: Tensor) -> Tensor:
        """Values of shape () or (channels,), so that they are broadcast over the weight."""
        if self.axis is None:
            return values
        return values.reshape([-1 if axis == self.axis else 1 for axis in range(self.weight.ndim)])


def _narrow_step(weight: Tensor, axis: int | None, pair_axis: int | None, levels: float) -> Tensor:
    """The finest step at which no weight is clipped, and no two of one sign in a channel exceed what a pair holds."""
    step = _by_channel(weight, axis or 0).abs().amax(1) / levels
    step = torch.where(step < LEAST_WEIGHT_SCALE, EPSILON, step)  # a dead channel
    step = step if axis is not None else step.amax()
    if pair_axis is None:
        return step
    channels = _by_channel(weight, pair_axis)
    most = min(2, channels.shape[1])
    pairs = torch.maximum(*((channels * sign).clamp(min=0).topk(most).values.sum(1) for sign in (1, -1)))
    return torch.maximum(step, (pairs if axis is not None else pairs.amax()) / ROUNDED_PAIR_LIMIT)


def _by_channel(weight: Tensor, axis: int) -> Tensor:
    """A weight with one row for each channel along an axis."""
    return weight.movedim(axis, 0).flatten(1)
