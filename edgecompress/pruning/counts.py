"""What a model holds and costs: parameters, non-zeros, multiply-accumulates, bytes on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from edgecompress.modules.forward import run_example
from edgecompress.pruning.masks.mask import permanent_copy
from edgecompress.pruning.storage import bitmask_file, dense_file, stored_tensors


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Figures of the model that ships: its masks are made permanent first, and a shared parameter counts once.

    Attributes:
        parameters: elements of all parameters; a mask takes none away.
        nonzero: those that are not zero.
        macs: multiply-accumulates of a dense forward pass on one row of the example inputs (zeros are multiplied too):
            those of convolutions, matrix products and attention. None without inputs.
        dense_bytes: of the safetensors file with all parameters and buffers.
        bitmask_bytes: of that file with zeros left out, and a bit for each element that says where they were.
    """

    parameters: int
    nonzero: int
    macs: int | None
    dense_bytes: int
    bitmask_bytes: int


def count(model: nn.Module, example_inputs: Any = None) -> Counts:
    """Count a model.

    Args:
        model: not modified.
        example_inputs: a tensor, a tuple of inputs, or a dict by input name.

    Raises:
        ModelError: the model cannot be copied, or does not run on the inputs.
    """
    plain = permanent_copy(model)
    tensors = stored_tensors(plain)
    return Counts(
        parameters=sum(parameter.numel() for parameter in plain.parameters()),
        nonzero=sum(int(torch.count_nonzero(parameter)) for parameter in plain.parameters()),
        dense_bytes=len(dense_file(tensors)),
        bitmask_bytes=len(bitmask_file(tensors)),
        macs=None if example_inputs is None else macs_per_row(plain, example_inputs),
    )


def macs_per_row(model: nn.Module, example_inputs: Any) -> int:
    """Multiply-accumulates (:func:`count_macs`) for each row of the batch."""
    return count_macs(model, example_inputs) // _rows(example_inputs)


def _rows(example_inputs: Any) -> int:
    """The first axis of the inputs, where they agree on one: a batch."""
    tensors = [tensor for tensor in pytree.tree_leaves(example_inputs) if isinstance(tensor, Tensor)]
    firsts = {tuple(tensor.shape[:1]) for tensor in tensors}
    return max(1, *firsts.pop()) if len(firsts) == 1 and () not in firsts else 1


def compare(original: Counts, current: Counts) -> dict[str, float | int | None]:
    """The counts of two models side by side, and what they say about compression.

    Returns:
        ``original_`` and ``current_`` ``params``, ``nonzero``, ``macs``, ``dense_bytes`` and ``bitmask_bytes``;
        ``compression_ratio``, original dense bytes over the current bytes as non-zeros with a bitmask; and
        ``dense_compression_ratio``, over the current dense bytes: a mask makes no dense file smaller.
    """
    figures: dict[str, float | int | None] = {}
    for when, counts in (("original", original), ("current", current)):
        figures[f"{when}_params"] = counts.parameters
        figures[f"{when}_nonzero"] = counts.nonzero
        figures[f"{when}_macs"] = counts.macs
        figures[f"{when}_dense_bytes"] = counts.dense_bytes
        figures[f"{when}_bitmask_bytes"] = counts.bitmask_bytes
    return {
        **figures,
        "compression_ratio": original.dense_bytes / current.bitmask_bytes,
        "dense_compression_ratio": original.dense_bytes / current.dense_bytes,
    }


def count_macs(model: nn.Module, example_inputs: Any) -> int:
    """Multiply-accumulates of a forward pass, which leaves the model in evaluation mode.

    Raises:
        ModelError: the model does not run on the inputs.
    """
    return int(_counted(model, example_inputs).get_total_flops()) // 2


def count_macs_by_module(model: nn.Module, example_inputs: Any) -> dict[str, int]:
    """The same by the name of the module that multiplies, without what its parts do; "" is the model itself.

    Raises:
        ModelError: the model does not run on the inputs.
    """
    counts = _counted(model, example_inputs).get_flop_counts()
    root = type(model).__name__
    paths = {name: f"{root}.{name}" if name else root for name, _ in model.named_modules()}
    whole = {name: sum(counts.get(path, {}).values()) for name, path in paths.items()}
    own = dict(whole)
    for name in whole:
        if name:
            own[name.rpartition(".")[0]] -= whole[name]
    return {name: flops // 2 for name, flops in own.items()}


def _counted(model: nn.Module, example_inputs: Any) -> FlopCounterMode:
    # PyTorch's counter does not see into the fused encoder layer, nor into the CPU's fused attention.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        counter = FlopCounterMode(display=False)
        with sdpa_kernel(SDPBackend.MATH), counter:
            run_example(model, example_inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counter
