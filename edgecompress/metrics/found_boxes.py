"""Which of the boxes that were found are right, and what their precision is when pictures are drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.metrics.sums import Drawable, Sums, groups_of, share_of

RESAMPLES = 200
"""That are computed: each sorts all boxes. They give the ends of an interval to a tenth of its width."""
MOST_AT_ONCE = 2**21
"""Numbers that are held at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundBoxes:
    """The boxes of a class that were found and count, at one overlap, those with the highest scores first.

    ``groups`` (boxes,) are those of their pictures, ``scores`` and ``right`` (boxes,) theirs; ``targets`` (groups,) is
    how many boxes there are.
    """

    groups: NDArray[np.int64]
    scores: Array
    right: Array
    targets: Array


def found_boxes(evaluation: Any, images: int) -> list[list[FoundBoxes]]:
    """Of each class, at each overlap, from what pycocotools' ``COCOeval`` evaluated of so many images."""
    groups, each = groups_of(images), evaluation.evalImgs
    per_class = [[entry for entry in each[start : start + images] if entry] for start in range(0, len(each), images)]
    return [list(_of_class(entries, groups, len(evaluation.params.iouThrs))) for entries in per_class]


def _of_class(entries: Sequence[Any], groups: NDArray[np.int64], overlaps: int) -> Iterator[FoundBoxes]:
    targets = np.zeros(groups.max() + 1)
    for entry in entries:
        targets[groups[entry["image_id"] - 1]] += np.count_nonzero(np.equal(entry["gtIgnore"], 0))
    own = np.array([groups[entry["image_id"] - 1] for entry in entries for _ in entry["dtScores"]], np.int64)
    scores = np.array([score for entry in entries for score in entry["dtScores"]], np.float64)
    order = np.argsort(-scores, kind="stable")
    for place in range(overlaps):
        right, ignored = (
            np.concatenate([np.zeros(0), *(entry[key][place] for entry in entries)])[order].astype(bool)
            for key in ("dtMatches", "dtIgnore")
        )
        kept = order[~ignored]
        yield FoundBoxes(groups=own[kept], scores=scores[kept], right=right[~ignored], targets=targets)


def drawable_precision(classes: Sequence[Sequence[FoundBoxes]], value: float) -> Drawable:
    """Mean average precision that can be drawn.

    What is drawn is the whole area below the curve of precision; COCO samples it at 101 places. That ``value`` is a
    little off the area moves all draws by as much.

    Args:
        classes: the boxes of each class, at each overlap.
        value: mean average precision of all pictures, in percent.
    """
    groups = len(classes[0][0].targets)
    counted = [each for each in classes if each[0].targets.any()]
    off = value - float(_mean_precision(counted, np.ones((1, groups), np.int64))[0])
    return Drawable(
        parts=np.concatenate([_told(each) for each in counted], axis=1),
        values=lambda drawn: _mean_precision(counted, drawn[:RESAMPLES]) + off,
    )


def _told(overlaps: Sequence[FoundBoxes]) -> Sums:
    """What the boxes of a class say of each group: their scores, and those of the right ones, (groups, 2)."""
    count = len(overlaps[0].targets)
    weights = [(overlaps[0].groups, overlaps[0].scores)]
    right = [(boxes.groups[boxes.right], boxes.scores[boxes.right]) for boxes in overlaps]
    weights.append((np.concatenate([own for own, _ in right]), np.concatenate([scores for _, scores in right])))
    return np.stack([np.bincount(own, weights=scores, minlength=count) for own, scores in weights], axis=1)


def _mean_precision(classes: Sequence[Sequence[FoundBoxes]], drawn: NDArray[np.int64]) -> Sums:
    """Percent, (resamples,): the mean over the classes that have a target among those drawn, and the overlaps."""
    each = np.stack([np.mean([drawn_precision(boxes, drawn) for boxes in overlaps], axis=0) for overlaps in classes])
    return share_of(100 * np.nansum(each, 0), (~np.isnan(each)).sum(0))


def drawn_precision(boxes: FoundBoxes, drawn: NDArray[np.int64]) -> Sums:
    """The area below the curve of precision over recall, 0 to 1, (resamples,); NaN without a target.

    The precision at a recall is the highest at that recall or more, as COCO has it.

    Args:
        boxes: of a class at an overlap.
        drawn: how often each group is drawn, (resamples, groups).
    """
    rows = max(1, MOST_AT_ONCE // max(len(boxes.groups), 1))
    blocks = [drawn[start : start + rows] for start in range(0, len(drawn), rows)]
    return np.concatenate([share_of(_areas(boxes, block), block @ boxes.targets) for block in blocks])


def _areas(boxes: FoundBoxes, drawn: NDArray[np.int64]) -> Sums:
    found = drawn[:, boxes.groups].astype(np.float64)
    right = found * boxes.right
    all_found = np.cumsum(found, axis=1)
    precision = np.divide(np.cumsum(right, axis=1), all_found, out=np.zeros_like(found), where=all_found > 0)
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    areas: Sums = (highest * right).sum(1)
    return areas
