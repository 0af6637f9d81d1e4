"""Chance, which every other criterion has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.criterion import UnitGroup


def score_units(group: UnitGroup, generator: torch.Generator) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    return torch.rand(group.units, generator=generator)
