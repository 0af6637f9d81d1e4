"""Area under the curve of true against false positives (ROC), in percent, averaged over the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax
from scipy.stats import rankdata

from edgecompress.arrays import Array
from edgecompress.errors import DataError
from edgecompress.metrics.accuracy import IGNORED_LABEL, no_class
from edgecompress.metrics.described import described
from edgecompress.metrics.fitting import MASK_AXES
from edgecompress.metrics.sums import Drawable, Redrawn, Sums, groups_of, share_of

TWO_CLASSES = 2


class AreaUnderCurve(Redrawn):
    """How often a sample of a class has a higher score for it than one of another class; equal scores count half.

    - Scores (rows,) or (rows, 1), and labels 0 and 1: one class.
    - Scores (rows, classes) and class indices (rows,): each class against all others. Where scores lie outside of
      0 to 1, they are taken for logits of a softmax. Labels of -100 do not count.
    - Scores and labels of one shape (rows, classes), 0 and 1: each class by itself.

    Classes that no sample has, or all have, do not count.
    """

    unit, higher_is_better = "%", True

    def __init__(self) -> None:
        self.reset()

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch.

        Raises:
            DataError: the labels do not fit the scores.
        """
        scores, labels = np.asarray(outputs[0] if isinstance(outputs, tuple) else outputs), np.asarray(targets)
        scores = scores.reshape(len(scores), -1) if scores.ndim else scores
        own = labels.shape == scores.shape or scores.shape[1:] == (1,)
        if scores.ndim != 2 or (not own and labels.shape != scores.shape[:1]) or labels.size % max(len(scores), 1):
            raise _misfit(scores, labels)
        _require_classes(labels, TWO_CLASSES if own else scores.shape[1])
        self._scores.append(scores.astype(np.float64))
        self._labels.append(labels.reshape(scores.shape) if own else labels)

    def compute(self) -> float:
        """Percent; NaN where no class counts."""
        areas = self.per_class().values()
        return float(np.mean(list(areas))) if areas else float("nan")

    def per_class(self) -> dict[int, float]:
        """The area of each class that counts, in percent; of one class, or of two, that of the last one."""
        columns = self._columns()
        areas = [_area(*column) for column in columns]
        first = 1 if len(areas) == 1 else 0
        return {label: 100 * area for label, area in enumerate(areas, first) if area is not None}

    def drawable(self) -> Drawable | None:
        """The share of each sample in each area; an area is the mean of its shares (DeLong et al., 1988)."""
        columns = self._columns()
        if not columns:
            return None
        groups = groups_of(len(columns[0][0]))
        parts = np.concatenate([_by_group(groups, _placements(*column)) for column in columns], axis=1)
        areas = [_area(*column) for column in columns]
        own = np.array([np.nan if area is None else area for area in areas])
        return Drawable(parts=parts, values=lambda drawn: _mean_areas(drawn @ parts, own))

    def _columns(self) -> list[tuple[Array, Array]]:
        """Scores and labels, 0, 1 or -100, of each class."""
        if not self._scores:
            return []
        scores, labels = np.concatenate(self._scores), np.concatenate(self._labels)
        if labels.ndim == 1:
            counted = labels != IGNORED_LABEL
            scores, labels = _of_classes(scores[counted], labels[counted])
        return list(zip(scores.T, labels.T, strict=True))

    def reset(self) -> None:
        """Forget all batches."""
        self._scores: list[Array] = []
        self._labels: list[Array] = []


def _misfit(scores: Array, labels: Array) -> DataError:
    if labels.ndim >= MASK_AXES:
        return DataError(f"labels {described(labels)} are masks; give --metric miou, which reads them as integers")
    return DataError(
        f"labels {described(labels)} do not fit scores {described(scores)}; give a class for each sample, or 0 or 1 for"
        " each score"
    )


def _require_classes(labels: Array, classes: int) -> None:
    wrong = labels[(labels != IGNORED_LABEL) & ((labels < 0) | (labels >= classes) | (labels != np.floor(labels)))]
    if wrong.size:
        raise DataError(no_class(int(wrong.flat[0]), classes))


def _of_classes(scores: Array, labels: Array) -> tuple[Array, Array]:
    """Scores that rank samples of each class, and 0 or 1 for each; of two classes the second says all."""
    classes, logits = scores.shape[1], scores.size > 0 and (scores.min() < 0 or scores.max() > 1)
    if classes == TWO_CLASSES:
        return (scores[:, 1:] - scores[:, :1] if logits else scores[:, 1:]), labels[:, None]
    if logits:
        scores = softmax(scores, axis=1)
    return scores, np.eye(classes, dtype=np.int64)[labels.astype(np.int64)]


def _placements(scores: Array, labels: Array) -> Sums:
    """How much of the other kind each sample is on the right side of, 0 to 1, its ties half; (samples, 4).

    The columns are that of a positive, 1 for a positive, that of a negative, 1 for a negative; else 0.
    """
    found = np.zeros((len(scores), 4))
    for place, (kind, other) in enumerate(((1, 0), (0, 1))):
        own, both = labels == kind, (labels == kind) | (labels == other)
        rest = int((labels == other).sum())
        signed = scores if kind else -scores
        above = rankdata(signed[both])[own[both]] - rankdata(signed[own])
        found[own, 2 * place] = above / rest if rest else 0.0
        found[own, 2 * place + 1] = 1.0
    return found


def _by_group(groups: Array, parts: Sums) -> Sums:
    return np.stack([np.bincount(groups, weights=column) for column in parts.T], axis=1)


def _mean_areas(sums: Sums, areas: Sums) -> Sums:
    """Percent: the mean over the classes that count, from the sums of the placements of each."""
    positive, positives, negative, negatives = (sums[:, column::4] for column in range(4))
    drawn = 100 * (share_of(positive, positives) + share_of(negative, negatives) - areas)
    return share_of(np.nansum(drawn, 1), (~np.isnan(drawn)).sum(1))


def _area(scores: Array, labels: Array) -> float | None:
    """The mean of the positives' placements (Mann and Whitney); None where all samples are of one kind."""
    counted = labels != IGNORED_LABEL
    scores, positive = scores[counted], labels[counted] == 1
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    return None if not pairs else float((rankdata(scores)[positive].sum() - count * (count + 1) / 2) / pairs)


make = AreaUnderCurve
