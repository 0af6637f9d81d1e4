"""Batch-norm statistics, estimated anew from data."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgecompress.data.batches import Batch
from edgecompress.errors import DataError
from edgecompress.modules.copies import copied
from edgecompress.progress import Progress
from edgecompress.training.micro_batches import to_part
from edgecompress.training.user_calls import run_network

CPU = torch.device("cpu")


def reestimate_batch_norm(network: nn.Module, batches: Iterable[Batch], progress: Progress) -> nn.Module:
    """A copy in evaluation mode whose running means and variances are the averages over ``batches``.

    After channels are removed, the statistics of what is left belong to another network. Weights stay as they
    are, and everything but batch norm runs in evaluation mode. The average gives every batch the same weight and its
    variance the divisor n - 1, as in PyTorch.

    Args:
        network: not modified.
        batches: a few hundred samples do; labels are not read.
        progress: told of every batch.

    Raises:
        DataError: there are no batches.
        ModelError: the network cannot be run on them.
    """
    duplicate = copied(network).eval()
    norms = [part for part in duplicate.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    if not norms:
        return duplicate
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    index = -1
    with torch.no_grad():
        for index, batch in enumerate(progress.track(batches, "estimating batch-norm statistics", "batch")):
            run_network(duplicate, to_part(batch, batch.rows, CPU, False).inputs, f"batch {index}")
    if index < 0:
        raise DataError("the data for batch norm yields no batches; return at least one")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return duplicate.eval()
