"""Micro-batches: the tensors of a training step, made from checked batches and shared out over the processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.metrics.targets import is_numbers
from edgecompress.system.randomness import RandomStates, seed_all


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """This process's rows of a batch; ``rows`` of them count. Labels are a tensor, or of another form, or absent."""

    inputs: dict[str, Tensor]
    labels: Any
    rows: int


def windows(batches: Iterable[Batch], size: int, skip: int, *seed: int) -> Iterator[list[Batch]]:
    """The batches of one epoch, ``size`` at a time, past the first ``skip``; all that they draw comes from ``seed``."""
    outside = RandomStates.now()
    seed_all("data", *seed)
    stream = iter(batches)
    window = list(islice(stream, skip, skip + size))
    while window:
        inside = RandomStates.now()
        outside.restore()
        yield window
        outside = RandomStates.now()
        inside.restore()
        window = list(islice(stream, size))
    outside.restore()


def share(batch: Batch, rank: int, count: int) -> tuple[Batch, int]:
    """The rows of process ``rank`` among ``count``, and how many they are.

    Where a batch has fewer rows than there are processes, some get its first row, which counts as 0: every
    process has to take part in the exchange of gradients.
    """
    start, stop = batch.rows * rank // count, batch.rows * (rank + 1) // count
    own = batch if count == 1 else batch.slice(start, stop) if stop > start else batch.slice(0, 1)
    return own, stop - start


def to_part(batch: Batch, rows: int, device: torch.device, channels_last: bool) -> MicroBatch:
    """Tensors on the device; labels are int64 or float32; where they are no array of numbers, all but the tensors in
    them are as they are."""
    inputs = {name: _tensor(array, device, channels_last) for name, array in batch.inputs.items()}
    if not is_numbers(batch.labels):
        return MicroBatch(inputs=inputs, labels=_moved(batch.labels, device), rows=rows)
    dtype = torch.float32 if batch.labels.dtype.kind == "f" else torch.int64
    return MicroBatch(inputs=inputs, labels=_tensor(batch.labels, device, False).to(dtype), rows=rows)


def with_channels_last(network: nn.Module) -> nn.Module:
    """The same network, its filters laid out channel by channel."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _moved(labels: Any, device: torch.device) -> Any:
    """The same where all tensors in it are there already."""
    elsewhere = (leaf for leaf in pytree.tree_leaves(labels) if isinstance(leaf, Tensor) and leaf.device != device)
    if next(elsewhere, None) is None:
        return labels
    return pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, labels)


def _tensor(array: Array, device: torch.device, channels_last: bool) -> Tensor:
    # torch warns of arrays that it must not write to.
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor
