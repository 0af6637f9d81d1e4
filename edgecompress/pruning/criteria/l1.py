"""The sum of the absolute weights of a unit."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criterion import UnitGroup, relative


def score_units(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    """The L1 norm, relative to the mean in each tensor (Li et al., Pruning Filters for Efficient ConvNets, 2017)."""
    return group.mean([relative(member.sum_by_unit(member.values.abs())) for member in group.counted])
