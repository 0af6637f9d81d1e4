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

TWO_CLASSES = 2


class AreaUnderCurve:
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
            raise DataError(
                f"labels {described(labels)} do not fit scores {described(scores)}; give a class for each sample, or 0"
                " or 1 for each score"
            )
        _require_classes(labels, TWO_CLASSES if own else scores.shape[1])
        self._scores.append(scores.astype(np.float64))
        self._labels.append(labels.reshape(scores.shape) if own else labels)

    def compute(self) -> float:
        """Percent; NaN where no class counts."""
        areas = self.per_class().values()
        return float(np.mean(list(areas))) if areas else float("nan")

    def per_class(self) -> dict[int, float]:
        """The area of each class that counts, in percent; of one class, or of two, that of the last one."""
        if not self._scores:
            return {}
        scores, labels = np.concatenate(self._scores), np.concatenate(self._labels)
        if labels.ndim == 1:
            counted = labels != IGNORED_LABEL
            scores, labels = _of_classes(scores[counted], labels[counted])
        columns = ((own, of, of != IGNORED_LABEL) for own, of in zip(scores.T, labels.T, strict=True))
        areas = [_area(own[counted], of[counted] == 1) for own, of, counted in columns]
        first = 1 if len(areas) == 1 else 0
        return {label: 100 * area for label, area in enumerate(areas, first) if area is not None}

    def reset(self) -> None:
        """Forget all batches."""
        self._scores: list[Array] = []
        self._labels: list[Array] = []


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


def _area(scores: Array, positive: Array) -> float | None:
    """By the ranks of the positives (Mann and Whitney); None where all samples are of one kind."""
    count = int(positive.sum())
    pairs = count * (len(positive) - count)
    return None if not pairs else float((rankdata(scores)[positive].sum() - count * (count + 1) / 2) / pairs)


make = AreaUnderCurve
