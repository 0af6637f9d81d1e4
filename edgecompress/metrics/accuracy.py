"""Top-1 accuracy of scores, and the axis along which their classes lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecompress.arrays import Array
from edgecompress.errors import DataError, plural

IGNORED_LABEL = -100
"""PyTorch's convention for a position that does not count."""


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


def top1(outputs: Array, labels: Array, where: str = "the batch", axis: int | None = None) -> Tally:
    """Top-1 accuracy of scores against class indices.

    The classes lie along the axis that the labels lack: scores (rows, classes, ...) or (..., classes); ``axis`` says
    which, as in :func:`class_axis`. Labels of -100 do not count.

    Raises:
        DataError: the shapes do not fit, or a label is no class of the model.

    >>> import numpy as np
    >>> top1(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1])).percent
    50.0
    """
    axis = class_axis(outputs.shape, labels.shape, where, axis)
    counted = labels != IGNORED_LABEL
    classes = outputs.shape[axis]
    wrong = labels[counted & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise DataError(f"{where}: {no_class_or_ignored(int(wrong.flat[0]), classes)}")
    right = (outputs.argmax(axis=axis) == labels) & counted
    return Tally(right=int(right.sum()), total=int(counted.sum()), classes=classes)


def no_class(label: int, classes: int) -> str:
    """What is told of a label that is no class of a model.

    >>> no_class(255, 21)
    'label 255 is out of range; the model gives 21 classes; number them 0 to 20, and give -100 for what does not count'
    """
    return (
        f"label {label} is out of range; the model gives {plural(classes, 'class')}; number them 0 to"
        f" {classes - 1}, and give"
        f" {IGNORED_LABEL} for what does not count"
    )


def no_class_or_ignored(label: int, classes: int) -> str:
    """The same where a recipe may name a label that does not count.

    >>> no_class_or_ignored(255, 21).rpartition("and ")[2]
    'give -100 for what does not count, or name it (training.ignore_index)'
    >>> no_class_or_ignored(1, 1).rpartition("; ")[2]
    'give the scores of both classes (in an evaluation by --postprocess)'
    """
    if classes == label == 1:
        return (
            "label 1 is out of range; the model gives one score; give the scores of both classes (in an evaluation by"
            " --postprocess)"
        )
    return f"{no_class(label, classes)}, or name it (training.ignore_index)"


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
        told = f"{where}: labels of shape {wanted} do not fit outputs of shape {scores}"
        if wanted == scores and scores[1:2] == (1,):
            raise DataError(
                f"{where}: outputs of shape {scores} have one score in the place of one for each class; give those of"
                " both classes (--postprocess), and labels.squeeze(1)"
            )
        if wanted == scores:
            raise DataError(
                f"{where}: labels and outputs have one shape, {wanted}; give scores for each class as outputs, or class"
                " indices for one-hot labels, labels.argmax(1)"
            )
        for single in (-1, 1):
            if (
                len(wanted) > 1
                and wanted[single] == 1
                and open_class_axes(scores, _without(wanted, single % len(wanted)))
            ):
                raise DataError(f"{told}; give them without the dimension of 1, labels.squeeze({single})")
        raise DataError(f"{told}; give a class for each row")
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
