"""What FastestDet is trained with: overlap and class of the cells around each box, and objectness everywhere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

CENTRE, SIZE = slice(1, 3), slice(3, 5)


def detector_loss(outputs: Tensor, targets: list[Any]) -> Tensor:
    """The mean over the pictures of a batch, for outputs (rows, 85, height, width) and boxes (boxes, 5) of each."""
    total = [_of_a_picture(found, torch.as_tensor(boxes)) for found, boxes in zip(outputs, targets, strict=True)]
    return torch.stack(total).mean()


def _of_a_picture(found: Tensor, boxes: Tensor) -> Tensor:
    wanted = torch.zeros_like(found[0])
    if not len(boxes):
        return 16 * nn.functional.smooth_l1_loss(found[0], wanted)
    rows, columns, of = _cells(boxes, found.shape[1:])
    cells, boxes = found[:, rows, columns].T, boxes[of]
    overlap = _overlaps(_decoded(cells, rows, columns, found.shape[1:]), boxes[:, 1:])
    wanted[rows, columns] = overlap.detach()
    there = torch.zeros_like(wanted, dtype=torch.bool).index_put((rows, columns), torch.tensor(True))
    error = nn.functional.smooth_l1_loss(found[0], wanted, reduction="none")
    objectness = 0.25 * error[there].mean() + 0.75 * error[~there].mean()
    classes = nn.functional.nll_loss(cells[:, 5:].clamp(min=1e-7).log(), boxes[:, 0].long())
    return 8 * (1 - overlap).mean() + 16 * objectness + classes


def _cells(boxes: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the four cells around each centre, as far as they exist, and the box of each."""
    height, width = shape
    x, y = (boxes[:, 1] * width).long(), (boxes[:, 2] * height).long()
    near = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    rows, columns = ((place[:, None] + near[:, axis]).flatten() for axis, place in enumerate((y, x)))
    inside = (rows < height) & (columns < width)
    of = torch.arange(len(boxes)).repeat_interleave(4)
    return rows[inside], columns[inside], of[inside]


def _decoded(cells: Tensor, rows: Tensor, columns: Tensor, shape: torch.Size) -> Tensor:
    """Boxes (cells, 4): centre and size, as shares of the picture."""
    height, width = shape
    places, extents = torch.stack([columns, rows], 1), torch.tensor([width, height])
    return torch.cat([(cells[:, CENTRE].tanh() + places) / extents, cells[:, SIZE].sigmoid()], 1)


def _overlaps(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union, pair by pair."""
    low = torch.maximum(a[:, :2] - a[:, 2:] / 2, b[:, :2] - b[:, 2:] / 2)
    high = torch.minimum(a[:, :2] + a[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2)
    shared = (high - low).clamp(min=0).prod(1)
    return shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared + 1e-9)
