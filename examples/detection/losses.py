"""What the detector learns from: which cells should see which shape, and how well their boxes fit."""

from __future__ import annotations

import torch
from nets import STRIDES, grid_cells
from torch import Tensor, nn

LONGEST = (22.0, 40.0, float("inf"))
"""Up to which length of its longer side, in pixels, a shape belongs to a grid."""
NEAR = 1.0
"""How far from the middle of a shape its cells may be, in strides."""


def detection_loss(outputs: dict[str, Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
    """Of scores and of boxes, over the number of cells that should see a shape.

    Scores aim at how well the box of the cell fits (Li et al. 2020, "Generalized Focal Loss"), 0 elsewhere.
    """
    scores, boxes = outputs["scores"], outputs["boxes"]
    wanted, total, count = torch.zeros_like(scores), scores.new_zeros(()), 0
    for row, target in enumerate(targets):
        cells, of = _cells_of(target["boxes"])
        fit = _fit(boxes[row, cells], target["boxes"][of])
        wanted[row, cells, target["labels"][of]] = fit.detach().clamp(0, 1)
        total, count = total + (1 - fit).sum(), count + len(cells)
    error = nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    focal = (error * (scores.sigmoid() - wanted).abs() ** 2).sum()
    return (focal + 2 * total) / max(count, 1)


def _cells_of(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """The cells that should see a shape, (found,), and which one, (found,): of two that meet in a cell the smaller."""
    centres, strides = grid_cells()
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    longest = torch.tensor(LONGEST)
    grid = torch.tensor(STRIDES)[torch.bucketize(size.amax(1), longest)]
    inside = ((centres[:, None] - middle).abs() < size / 2).all(2)
    near = (centres[:, None] - middle).abs().amax(2) < NEAR * strides
    rank = torch.where(inside & near & (strides == grid), size.prod(1), float("inf"))
    area, of = rank.min(1) if len(boxes) else (centres.new_full((len(centres),), float("inf")), centres.new_zeros(0))
    cells = area.isfinite().nonzero()[:, 0]
    return cells, of[cells].long()


def _fit(found: Tensor, boxes: Tensor) -> Tensor:
    """Generalized intersection over union (Rezatofighi et al. 2019), pair by pair."""
    low, high = torch.maximum(found[:, :2], boxes[:, :2]), torch.minimum(found[:, 2:], boxes[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (found[:, 2:] - found[:, :2]).prod(1) + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    around = torch.maximum(found[:, 2:], boxes[:, 2:]) - torch.minimum(found[:, :2], boxes[:, :2])
    hull = around.prod(1)
    return shared / union - (hull - union) / hull
