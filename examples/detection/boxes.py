"""From scores and boxes of cells to the shapes of a picture, with NumPy, as on the device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scenes import Array, overlaps

LEAST = 0.02
"""Score below which a box is none."""
MOST = 100
SAME = 0.6
"""Intersection over union from which on two boxes of a class are of the same shape."""


def postprocess(outputs: Mapping[str, Array]) -> list[dict[str, Array]]:
    """For each picture its ``boxes`` (found, 4), ``scores`` and ``labels`` (found,), the highest scores first."""
    return [_found(*row) for row in zip(outputs["scores"], outputs["boxes"], strict=True)]


def _found(logits: Array, boxes: Array) -> dict[str, Array]:
    scores = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    cells, labels = np.nonzero(scores > LEAST)
    order = np.argsort(-scores[cells, labels], kind="stable")[:MOST]
    cells, labels = cells[order], labels[order]
    kept = _suppressed(boxes[cells], labels)
    return {"boxes": boxes[cells[kept]], "scores": scores[cells, labels][kept], "labels": labels[kept]}


def _suppressed(boxes: Array, labels: Array) -> list[int]:
    """Places of the boxes that no better box of their class covers."""
    rivals = (overlaps(boxes, boxes) >= SAME) & (labels[:, None] == labels)
    kept: list[int] = []
    for place in range(len(boxes)):
        if not rivals[place, kept].any():
            kept.append(place)
    return kept
