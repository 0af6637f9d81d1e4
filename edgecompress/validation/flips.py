"""Flips: samples whose top class is another one after compression.

Equal accuracy can hide them: a network may lose as many samples as it wins, and its users see each of them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.validation.thumbnails import thumbnail


@dataclass(frozen=True, kw_only=True)
class Flip:
    """One sample: its place in the data, its label where there is one, and its top class before and after.

    ``certainty`` is how much more probable the original found its own class than the artifact's, 0 to 1;
    ``picture`` is a data URI, or None where the input is no image.
    """

    index: int
    label: int | None
    before: int
    after: int
    certainty: float
    picture: str | None


@dataclass(frozen=True, kw_only=True)
class Flips:
    """What flipped, added up over batches.

    ``pairs`` counts (class before, class after); ``lost``, ``won`` and ``other`` count samples that were right
    before, are right now, or neither; without labels all are ``other``. ``examples`` are the most certain ones,
    those that were right first.
    """

    kept: int
    samples: int = 0
    lost: int = 0
    won: int = 0
    other: int = 0
    pairs: Mapping[tuple[int, int], int] = field(default_factory=dict)
    examples: tuple[Flip, ...] = ()

    @property
    def count(self) -> int:
        """Samples whose top class changed."""
        return self.lost + self.won + self.other

    def add(self, before: Array, after: Array, batch: Batch) -> Flips:
        """With a batch: scores of shape (rows, classes) of both networks; other outputs have no top class."""
        if before.ndim != 2 or before.shape != after.shape or before.shape[1] < 2 or len(before) != batch.rows:
            return self
        classes = before.argmax(1), after.argmax(1)
        flipped = np.flatnonzero(classes[0] != classes[1])
        labels = _labels(batch, len(before))
        right = [np.zeros(len(before), bool) if labels is None else own == labels for own in classes]
        return replace(
            self,
            samples=self.samples + len(before),
            lost=self.lost + int(right[0][flipped].sum()),
            won=self.won + int(right[1][flipped].sum()),
            other=self.other + int((~right[0] & ~right[1])[flipped].sum()),
            pairs=Counter(self.pairs) + Counter(zip(*(own[flipped].tolist() for own in classes), strict=True)),
            examples=self._examples(before, classes, flipped, labels, batch),
        )

    def _examples(
        self,
        scores: Array,
        classes: tuple[NDArray[np.int64], NDArray[np.int64]],
        flipped: NDArray[np.int64],
        labels: Array | None,
        batch: Batch,
    ) -> tuple[Flip, ...]:
        """Those so far and those of the batch, the worst ``kept``; only these get a picture."""
        chances = softmax(scores.astype(np.float64), axis=1)
        found = [
            Flip(
                index=self.samples + row,
                label=None if labels is None else int(labels[row]),
                before=int(classes[0][row]),
                after=int(classes[1][row]),
                certainty=float(chances[row, classes[0][row]] - chances[row, classes[1][row]]),
                picture=None,
            )
            for row in flipped.tolist()
        ]
        worst = heapq.nlargest(self.kept, [*self.examples, *found], key=_badness)
        return tuple(self._shown(flip, batch) for flip in worst)

    def _shown(self, flip: Flip, batch: Batch) -> Flip:
        row = flip.index - self.samples
        if row < 0:
            return flip
        return replace(flip, picture=thumbnail(batch, row))


def _badness(flip: Flip) -> tuple[bool, float]:
    """What was right before is worse than what was not, and what was certain worse than a toss-up."""
    return flip.label == flip.before, flip.certainty


def _labels(batch: Batch, rows: int) -> Array | None:
    """A class for each sample, where the labels are that."""
    return batch.labels if batch.labels is not None and batch.labels.shape == (rows,) else None
