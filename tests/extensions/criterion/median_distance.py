"""A criterion of a package of its own: units that are like the others go first (He et al., 2019, FPGM)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criterion import UnitGroup, UnitWeights, relative


def score_units(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    """The distance of each unit's weights to those of all others, added up; of shape (units,)."""
    return group.mean([relative(_distances(member)) for member in group.counted])


def _distances(member: UnitWeights) -> Tensor:
    rows = member.values.movedim(member.axis, 0).flatten(1).double()
    totals = torch.zeros(member.units + 1, dtype=torch.float64)
    return totals.index_add(0, member.places[0], torch.cdist(rows, rows).sum(1))[: member.units]
