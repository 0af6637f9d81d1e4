"""The length of a unit's weights."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criterion import UnitGroup, UnitWeights, relative


def score_units(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    """The L2 norm, relative to the mean in each tensor (Li et al., Pruning Filters for Efficient ConvNets, 2017)."""
    return group.mean([relative_length(member) for member in group.counted])


def relative_length(member: UnitWeights) -> Tensor:
    """The L2 norm of each unit of a tensor over the mean of them: float64, ``(units,)``."""
    return relative(member.sum_by_unit(member.values.square()).sqrt())
