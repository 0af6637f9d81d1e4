"""A model's tensors as the bytes of a safetensors file: as they are, and without their zeros."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

BITS = ".bits"
VALUES = ".values"
_HEADER_BYTES = 200
"""What a second entry and its metadata add to the header of the file, less twice the name; rounded up."""


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, also those that are in no state dict, under each of their names."""
    buffers = model.named_buffers(remove_duplicate=False)
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(buffers)}


def stored_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of the state dict, each once under its first name, contiguous and on the CPU."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):  # a module's extra state can be anything
            first.setdefault(id(value), (name, value))
    return {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in first.values()}


def dense_file(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors file that holds every element."""
    return save(dict(tensors))


def bitmask_file(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors file that holds a bit for each element and the values of those that are not zero.

    A tensor that this makes no smaller stays as it is. Another becomes ``NAME.bits`` (uint8, eight elements in each,
    the first in the highest bit) and ``NAME.values``; its shape stands in the file's metadata.
    """
    written: dict[str, Tensor] = {}
    shapes: dict[str, str] = {}
    for name, tensor in tensors.items():
        nonzero = tensor != 0
        saved_bytes = (tensor.numel() - int(torch.count_nonzero(nonzero))) * tensor.element_size()
        if saved_bytes <= -(-tensor.numel() // 8) + _HEADER_BYTES + 2 * len(name):
            written[name] = tensor
            continue
        written[name + BITS] = torch.from_numpy(np.packbits(nonzero.flatten().numpy()))
        written[name + VALUES] = tensor[nonzero]
        shapes[name] = ",".join(map(str, tensor.shape))
    return save(written, metadata=shapes or None)
