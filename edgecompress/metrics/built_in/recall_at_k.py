"""Recall at k of embeddings: how often one of the k nearest other samples is of the same class, in percent."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import DataError
from edgecompress.metrics.described import described
from edgecompress.metrics.sums import Drawable, GroupSums, Redrawn, Sums, share_of

ROWS_AT_ONCE = 1024
"""Samples that are compared with all others at a time."""


class RecallAtK(Redrawn):
    """Each sample is looked up among all others by the cosine; one whose class no other sample has does not count.

    Args:
        k: how many of the nearest are looked at.
    """

    unit, higher_is_better = "%", True

    def __init__(self, k: int = 1) -> None:
        self._k = k
        self.reset()

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add embeddings of shape (rows, ...), and the class of each, (rows,).

        Raises:
            DataError: there is not one class for each.
        """
        embeddings, labels = np.asarray(outputs[0] if isinstance(outputs, tuple) else outputs), np.asarray(targets)
        if labels.shape != embeddings.shape[:1]:
            raise DataError(
                f"classes {described(labels)} do not fit embeddings {described(embeddings)}; give one for each sample"
            )
        flat = embeddings.reshape(len(embeddings), -1).astype(np.float64)
        lengths = np.linalg.norm(flat, axis=1, keepdims=True)
        self._embeddings.append(np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > 0))
        self._labels.append(labels)

    def compute(self) -> float:
        """Percent; NaN where no sample counts."""
        sums = self._found_and_counted().sum(0, keepdims=True)
        return float(_percent(sums)[0])

    def drawable(self) -> Drawable | None:
        """Samples that are looked up; those among which they are looked up stay the same."""
        if not self._embeddings:
            return None
        sums = GroupSums()
        sums.add(self._found_and_counted())
        groups = sums.groups
        return Drawable(parts=groups, values=lambda drawn: _percent(drawn @ groups))

    def _found_and_counted(self) -> Sums:
        """Whether each sample was found, where it counts, and whether it counts, (rows, 2)."""
        if not self._embeddings:
            return np.zeros((0, 2))
        embeddings, labels = np.concatenate(self._embeddings), np.concatenate(self._labels)
        found = [
            self._found(embeddings, labels, np.arange(start, min(start + ROWS_AT_ONCE, len(labels))))
            for start in range(0, len(labels), ROWS_AT_ONCE)
        ]
        _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        counted = counts[places] > 1
        return np.column_stack([np.concatenate(found) & counted, counted]).astype(np.float64)

    def reset(self) -> None:
        """Forget all batches."""
        self._embeddings: list[Array] = []
        self._labels: list[Array] = []

    def _found(self, embeddings: Array, labels: Array, rows: Array) -> Array:
        """Whether one of the nearest is of the same class, for some samples."""
        cosines = embeddings[rows] @ embeddings.T
        cosines[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(self._k, len(labels) - 1)]
        same: Array = (labels[nearest] == labels[rows][:, None]).any(1)
        return same


def _percent(sums: Sums) -> Sums:
    return share_of(100 * sums[:, 0], sums[:, 1])


make = RecallAtK
