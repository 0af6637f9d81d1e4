"""The scale of the batch norms behind a channel."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criteria.l2 import relative_length
from edgecompress.pruning.criterion import UnitGroup


def score_units(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    """The batch norms' scales without their sign, relative to the mean of each (Liu et al., Network Slimming, 2017).

    For groups without a batch norm it is ``l2``.
    """
    scales = [member for member in group.members if member.batch_norm]
    return group.mean([relative_length(member) for member in scales or group.counted])
