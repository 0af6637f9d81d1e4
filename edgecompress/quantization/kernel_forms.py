"""The form in which a quantized graph ships: the one that kernels are fast in, with every constant stored once.

What recovers accuracy, and what is left to it, works on the plain graph before.
"""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.quantization.average_pools import convolve_averages
from edgecompress.quantization.block_moves import move_pixels
from edgecompress.quantization.channel_alignment import align_channels
from edgecompress.quantization.deduplication import store_once


def for_kernels(model: ir.Model, *, small: bool = False, pools: bool = False) -> ir.Model:
    """A copy of a quantized model with the same integers at every value, and more channels behind them here and there.

    Only an AveragePool may round differently, by one step, where a mean lies between two.

    Args:
        model: not modified.
        small: whether bytes count for more than time, so that no channels are added.
        pools: whether float pools get whole blocks of channels, too.
    """
    convolved = move_pixels(convolve_averages(model))
    return store_once(convolved if small else align_channels(convolved, pools=pools))
