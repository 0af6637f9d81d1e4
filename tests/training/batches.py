"""Train and evaluation data, and networks without batch norm, for the tests of training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.data.batches import Batches, InputNames, rereadable
from tests.networks import CLASSES, LinearStack, images


def batches(data: Iterable[Any], role: str = "train", name: str = "image", **options: Any) -> Batches:
    """``data`` as the pipeline opens it, for a network with one input."""
    source = rereadable(lambda: data, role)
    return Batches(role=role, source=source, inputs=InputNames(names=(name,), required=1), **options)


def shuffled(rows: int = 8, count: int = 6) -> Batches:
    """Images in an order that PyTorch's global generator decides."""
    whole = images(rows=rows * count, batches=1)[0]
    return batches(DataLoader(TensorDataset(*whole), batch_size=rows, shuffle=True))


def learnable(rows: int = 32, count: int = 8, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Vectors of 32 numbers whose class is where the largest of the first ten is."""
    generator = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(rows, 32, generator=generator) for _ in range(count)]
    return [(vector, vector[:, :CLASSES].argmax(1)) for vector in vectors]


def stack(seed: int = 0) -> nn.Module:
    """Linear layers, seeded."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LinearStack()


def same(first: nn.Module, other: nn.Module) -> bool:
    """Whether every weight and buffer is the same, bit for bit."""
    mine, theirs = first.state_dict(), other.state_dict()
    return list(mine) == list(theirs) and all(torch.equal(mine[name], theirs[name]) for name in mine)
