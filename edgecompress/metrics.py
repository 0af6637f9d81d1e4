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


def top1(outputs: Array, labels: Array, where: str = "the batch", axis: int | None = None) -> Tally:
    """Top-1 accuracy of scores against class indices.

    The classes lie along the axis that the labels lack: scores (rows, classes, ...) or (..., classes); ``axis`` says
    which, as in :func:`class_axis`. Labels of -100 do not count.

    Raises:
        DataError: the shapes do not fit, or a label is no class of the model.

    >>> top1(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).percent
    50.0
    """
    axis = class_axis(outputs.shape, labels.shape, where, axis)
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


def class_axis(outputs: Sequence[int], labels: Sequence[int], where: str = "the batch", axis: int | None = None) -> int:
    """The axis of the classes in scores of shape ``outputs``: the one that the labels lack.

    Where as many classes as places leave two axes open, it is axis 1, PyTorch's, unless ``axis`` says otherwise.

    Args:
        outputs: shape of the scores.
        labels: shape of the class indices.
        where: the beginning of a message.
        axis: where the classes have to lie, -1 being the last axis; None for wherever the labels fit.

    Raises:
        DataError: the shapes do not fit.

    >>> class_axis((8, 5, 10), (8, 5)), class_axis((8, 10, 5), (8, 5)), class_axis((8, 5, 5), (8, 5), axis=-1)
    (2, 1, 2)
    """
    scores, wanted = tuple(outputs), tuple(labels)
    fitting = open_class_axes(scores, wanted)
    if axis is None and fitting:
        return fitting[0] % len(scores)
    if axis is None or not fitting:
        raise DataError(
            f"{where}: labels of shape {wanted} do not fit outputs of shape {scores}; give a class for each row"
        )
    found = require_class_axis(axis, scores)
    if wanted != _without(scores, found):
        raise DataError(
            f"{where}: labels of shape {wanted} put the classes of outputs of shape {scores} along axis"
            f" {fitting[0] % len(scores)}; those of the run lie along axis {axis}; give all batches alike"
        )
    return found


def open_class_axes(outputs: Sequence[int], labels: Sequence[int]) -> tuple[int, ...]:
    """Where the classes may lie in scores of shape ``outputs``: axis 1, the last one (-1), both, or nowhere.

    >>> open_class_axes((8, 10), (8,)), open_class_axes((8, 5, 10), (8, 5)), open_class_axes((2, 5, 5, 5), (2, 5, 5))
    ((1,), (-1,), (1, -1))
    """
    scores, wanted = tuple(outputs), tuple(labels)
    axes = (1, -1)[: len(scores) - 1]
    return tuple(axis for axis in axes if _without(scores, axis % len(scores)) == wanted)


def require_class_axis(axis: int, outputs: Sequence[int]) -> int:
    """The axis, counted from 0, of scores of shape ``outputs``.

    Raises:
        DataError: there is no such axis, or it is the batch's.

    >>> require_class_axis(-1, (8, 5, 10))
    2
    """
    rank = len(outputs)
    if not -rank < axis < rank or axis == 0:
        raise DataError(
            f"class axis {axis} is none of outputs of shape {tuple(outputs)}; give 1, or -1 for the last axis"
            " (evaluation.class_axis)"
        )
    return axis % rank


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


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
