"""What the loss changes by without a unit, to first order."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criterion import UnitGroup, with_gradients


@with_gradients
def score_units(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    """The magnitude of the sum of weight times gradient.

    Molchanov et al., Importance Estimation for Neural Network Pruning, 2019.
    """
    return group.mean(
        [
            member.sum_by_unit(member.values * member.gradient).abs()
            for member in group.counted
            if member.gradient is not None
        ]
    )
