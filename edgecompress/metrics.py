"""The measures: compression ratio, speedup, accuracy drop, and the agreement of two networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgecompress.errors import DataError

Array = NDArray[Any]
IDENTICAL_DB = 200.0
"""Reported for outputs without any difference; float32 itself resolves about 150 dB."""
IGNORED_LABEL = -100
"""PyTorch's convention for a position that does not count."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How closely outputs follow a reference, added up over batches.

    ``signal`` and ``noise`` are sums of squares for each output; ``agreed`` of ``decided`` top classes
    of the first output are the same.
    """

    signal: tuple[float, ...] = ()
    noise: tuple[float, ...] = ()
    max_abs_error: float = 0.0
    agreed: int = 0
    decided: int = 0

    @classmethod
    def between(cls, reference: Sequence[Array], actual: Sequence[Array]) -> Self:
        """The agreement of two lists of outputs, of the same shapes."""
        pairs = [_comparable(r, a) for r, a in zip(reference, actual, strict=True)]
        top = [outputs[0].argmax(axis=1) if outputs[0].ndim > 1 else None for outputs in (reference, actual)]
        same = 0 if top[0] is None or top[1] is None else int((top[0] == top[1]).sum())
        return cls(
            signal=tuple(float(np.square(r).sum()) for r, _ in pairs),
            noise=tuple(float(np.square(r - a).sum()) for r, a in pairs),
            max_abs_error=max((float(np.abs(r - a).max(initial=0.0)) for r, a in pairs), default=0.0),
            agreed=same,
            decided=0 if top[0] is None else int(top[0].size),
        )

    def merge(self, other: Agreement) -> Agreement:
        """Both batches together."""
        if not self.signal:
            return other
        return Agreement(
            signal=tuple(map(sum, zip(self.signal, other.signal, strict=True))),
            noise=tuple(map(sum, zip(self.noise, other.noise, strict=True))),
            max_abs_error=max(self.max_abs_error, other.max_abs_error),
            agreed=self.agreed + other.agreed,
            decided=self.decided + other.decided,
        )

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio of the worst output, in dB."""
        return min((_decibel(s, n) for s, n in zip(self.signal, self.noise, strict=True)), default=IDENTICAL_DB)

    @property
    def top1_agreement(self) -> float | None:
        """Share of samples, 0 to 1, whose top class is the same; None where there are no classes."""
        return self.agreed / self.decided if self.decided else None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Right answers among those that were counted, for a model with that many ``classes``."""

    right: int = 0
    total: int = 0
    classes: int = 0

    def merge(self, other: Tally) -> Tally:
        """Both batches together."""
        return Tally(
            right=self.right + other.right,
            total=self.total + other.total,
            classes=max(self.classes, other.classes),
        )

    @property
    def percent(self) -> float | None:
        """Accuracy in percent; None where nothing was counted."""
        return 100.0 * self.right / self.total if self.total else None

    @property
    def could_be_guessed(self) -> bool:
        """Whether guessing would do as well: within three standard deviations of a binomial's mean."""
        if not self.total or not self.classes:
            return False
        chance = 1 / self.classes
        return self.right <= self.total * chance + 3 * math.sqrt(self.total * chance * (1 - chance))


def top1(outputs: Array, labels: Array, where: str = "the batch") -> Tally:
    """Top-1 accuracy of scores against class indices.

    The classes lie along the axis that the labels lack: scores (rows, classes, ...) or (..., classes).
    Labels of -100 do not count.

    Raises:
        DataError: the shapes do not fit, or a label is no class of the model.

    >>> top1(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).percent
    50.0
    """
    axis = class_axis(outputs.shape, labels.shape, where)
    counted = labels != IGNORED_LABEL
    classes = outputs.shape[axis]
    wrong = labels[counted & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise DataError(
            f"{where}: label {int(wrong.flat[0])} is out of range;"
            f" the model gives {classes} classes; number them 0 to {classes - 1}"
        )
    right = (outputs.argmax(axis=axis) == labels) & counted
    return Tally(right=int(right.sum()), total=int(counted.sum()), classes=classes)


def class_axis(outputs: Sequence[int], labels: Sequence[int], where: str = "the batch") -> int:
    """The axis of the classes in scores of shape ``outputs``: the one that the labels lack.

    Raises:
        DataError: the shapes do not fit.

    >>> class_axis((8, 5, 10), (8, 5)), class_axis((8, 10, 5), (8, 5))
    (2, 1)
    """
    scores, wanted = tuple(outputs), tuple(labels)
    if len(scores) > 1 and wanted == scores[:-1]:
        return len(scores) - 1
    if len(scores) > 1 and wanted == (scores[0], *scores[2:]):
        return 1
    raise DataError(
        f"{where}: labels of shape {wanted} do not fit outputs of shape {scores}; give a class for each row"
    )


def _comparable(reference: Array, actual: Array) -> tuple[Array, Array]:
    """Both in float64; what is infinite, or NaN, in both alike counts as 0 (a mask of scores, say)."""
    pair = reference.astype(np.float64), actual.astype(np.float64)
    alike = ~np.isfinite(pair[0]) & ((pair[0] == pair[1]) | (np.isnan(pair[0]) & np.isnan(pair[1])))
    return (np.where(alike, 0.0, pair[0]), np.where(alike, 0.0, pair[1])) if alike.any() else pair


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return IDENTICAL_DB
    if signal == 0 or not math.isfinite(noise):  # NaN compares as no worse than any limit
        return -IDENTICAL_DB
    return min(10 * math.log10(signal / noise), IDENTICAL_DB)
