"""Changes: samples whose answer compression changed for the worse, whatever the answer is; the worst are kept.

How bad a change is, the metric says, of the sample by itself. What it has no value of, as a detector's of a picture
without boxes, is ranked by how little the outputs agree.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.single import bare, sample_of, value_of
from edgecompress.metrics.slices import IDENTICAL_DB
from edgecompress.validation.answers import SampleAnswer, read_answer
from edgecompress.validation.thumbnails import MOST_PIXELS, image_size, thumbnail

MOST_SAMPLES = 500
"""That are looked at, the first ones: each is measured by itself, twice, which takes COCO's precision 0.1 s."""

PIXELS_OF_BOXES = 320
"""The longer side of a picture in which boxes are drawn."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answers of a network to a batch: its outputs, and what the metric was given of them."""

    outputs: Sequence[Array]
    given: Any


@dataclass(frozen=True, kw_only=True)
class Change:
    """One sample: its place in the data, its values before and after, by how much the second is worse, and its answers.

    Values are None where the metric has none of it. ``sqnr_db`` is the agreement of the outputs that agree least;
    ``target`` is what is right, where the data say so; where the input is an image ``picture`` is a data URI of it, and
    ``size`` its width and height in pixels.
    """

    index: int
    value_before: float | None
    value_after: float | None
    loss: float | None
    sqnr_db: float
    before: SampleAnswer
    after: SampleAnswer
    target: SampleAnswer | None
    picture: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed, added up over batches, of ``seen`` samples.

    ``samples`` were looked at; ``lost`` of these are worse by the metric, ``won`` better, ``unvalued`` have no value.
    ``examples`` are the worst ``kept``: those that lost most, then those without a value by their agreement.
    """

    kept: int
    seen: int = 0
    samples: int = 0
    lost: int = 0
    won: int = 0
    unvalued: int = 0
    examples: tuple[Change, ...] = ()

    def add(self, measure: Measure, batch: Batch, before: Answered, after: Answered, targets: Any) -> Changes:
        """With a batch.

        Args:
            measure: what is measured.
            batch: of the data.
            before: the original's answers.
            after: the artifact's.
            targets: as the metric was given them; None where there are none.
        """
        rows = max(min(batch.rows, MOST_SAMPLES - self.seen), 0)
        found = list(self._read(measure, batch, before, after, targets, rows)) if self.kept else []
        losses = [change.loss for change in found]
        worst = heapq.nlargest(self.kept, [*self.examples, *filter(_is_worse, found)], key=_badness)
        return replace(
            self,
            seen=self.seen + batch.rows,
            samples=self.samples + len(found),
            lost=self.lost + sum(loss is not None and loss > 0 for loss in losses),
            won=self.won + sum(loss is not None and loss < 0 for loss in losses),
            unvalued=self.unvalued + losses.count(None),
            examples=tuple(self._shown(change, batch) for change in worst),
        )

    def _read(
        self, measure: Measure, batch: Batch, before: Answered, after: Answered, targets: Any, rows: int
    ) -> Iterator[Change]:
        read_classes = measure.of_classes and targets is not None
        for row in range(rows):
            own = [sample_of(answered.given, row, batch.rows) for answered in (before, after)]
            if any(sample is None for sample in own):
                return
            wanted = None if targets is None else sample_of(targets, row, batch.rows)
            values = [None if wanted is None else value_of(measure, sample, wanted) for sample in own]
            first, last = (read_answer(bare(sample), of_classes=read_classes) for sample in own)
            yield Change(
                index=self.seen + row,
                value_before=values[0],
                value_after=values[1],
                loss=measure.drop(*values),
                sqnr_db=_agreement_db(before.outputs, after.outputs, row, batch.rows),
                before=first,
                after=last,
                target=None if wanted is None else read_answer(bare(wanted)),
            )

    def _shown(self, change: Change, batch: Batch) -> Change:
        row = change.index - self.seen
        if row < 0:
            return change
        most = PIXELS_OF_BOXES if change.before.kind == "boxes" else MOST_PIXELS
        return replace(change, picture=thumbnail(batch, row, most), size=image_size(batch, row))


def _is_worse(change: Change) -> bool:
    """Whether it may be shown: the metric says so, or has no value while the outputs differ."""
    return change.sqnr_db < IDENTICAL_DB if change.loss is None else change.loss > 0


def _badness(change: Change) -> tuple[bool, float]:
    """A loss that is known is worse than one that is not."""
    return (False, -change.sqnr_db) if change.loss is None else (True, change.loss)


def _agreement_db(before: Sequence[Array], after: Sequence[Array], row: int, rows: int) -> float:
    """SQNR of a sample in dB, of the output that agrees least; of outputs that hold no samples nothing is said."""
    pairs = zip(before, after, strict=True)
    return min(
        (_sqnr_db(b[row], a[row]) for b, a in pairs if b.shape[:1] == a.shape[:1] == (rows,)), default=IDENTICAL_DB
    )


def _sqnr_db(reference: Array, actual: Array) -> float:
    first, second = (np.asarray(values, np.float64) for values in (reference, actual))
    with np.errstate(all="ignore"):
        signal, noise = float((first**2).sum()), float(((first - second) ** 2).sum())
    if not np.isfinite(noise) or (noise and not signal):
        return -IDENTICAL_DB
    found = 10 * np.log10(signal / noise) if noise else IDENTICAL_DB
    return float(np.clip(found, -IDENTICAL_DB, IDENTICAL_DB))
