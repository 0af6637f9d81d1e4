"""Losses: callables of a network's outputs, its inputs by name, and the labels, each a mean over the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, as_tensor
from torch.nn import functional
from torch.utils import _pytree as pytree

from edgecompress.errors import DataError, ModelError, a_kind
from edgecompress.metrics.accuracy import IGNORED_LABEL, class_axis, no_class, require_class_axis
from edgecompress.recipe.arguments import number

LOSS = "the loss"


class Loss(Protocol):
    """What training minimizes."""

    def __call__(self, outputs: Any, inputs: Mapping[str, Tensor], labels: Any, /) -> Tensor:
        """A scalar: the mean over the samples of the batch.

        Labels are a tensor, or targets of another form as the data give them, or None.
        """


def cross_entropy(outputs: Any, _inputs: Mapping[str, Tensor], labels: Any) -> Tensor:
    """Softmax cross entropy of the first output against class indices; -100 does not count.

    Raises:
        DataError: labels are missing, do not fit the outputs' shape, or are out of range.
    """
    return classification_loss(first_output(outputs), present(labels))


def mean_squared_error(outputs: Any, _inputs: Mapping[str, Tensor], labels: Any) -> Tensor:
    """The mean square of the difference between the first output and labels of the same shape.

    Raises:
        DataError: labels are missing, or have another shape.
    """
    values, wanted = first_output(outputs), present(labels)
    if values.shape != wanted.shape:
        raise DataError(
            f"labels of shape {tuple(wanted.shape)} do not fit outputs of shape {tuple(values.shape)}; give as many"
        )
    return functional.mse_loss(values, wanted.to(values.dtype))


def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor | None,
    temperature: float,
    alpha: float,
    axis: int | None = None,
) -> Tensor:
    """alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross entropy.

    Args:
        student: scores (rows, classes, ...) or (..., classes).
        teacher: scores of the same shape; no gradient flows into them.
        labels: class indices; may be None where alpha is 1, and scores are (rows, classes) or ``axis`` is given.
        temperature: above 0.
        alpha: 0 to 1.
        axis: of the classes, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.

    Raises:
        RecipeError: temperature or alpha is out of range.
        ModelError: the shapes of student and teacher differ.
        DataError: labels are missing, do not fit the outputs' shape, or are out of range.
    """
    check_distillation(temperature, alpha)
    check_same_shape(student, teacher)
    labels = None if labels is None else present(labels)
    if alpha == 0:
        return classification_loss(student, present(labels), axis)
    soft = temperature**2 * _divergence(student, teacher.detach(), labels, temperature, axis)
    return soft if alpha == 1 else alpha * soft + (1 - alpha) * classification_loss(student, present(labels), axis)


def check_distillation(temperature: float, alpha: float) -> None:
    """Refuse a temperature or a weight that means nothing.

    Raises:
        RecipeError: temperature is 0 or less, or alpha outside [0, 1].
    """
    number("temperature", temperature, lambda value: value > 0, "give a number above 0")
    number("alpha", alpha, lambda share: 0 <= share <= 1, "give 0 (labels only) to 1 (teacher only)")


def check_same_shape(student: Tensor, teacher: Tensor) -> None:
    """Refuse outputs that do not answer the same question.

    Raises:
        ModelError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ModelError(
            f"the student's outputs are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)};"
            " give a teacher with the same outputs"
        )


def classification_loss(scores: Tensor, labels: Tensor, axis: int | None = None) -> Tensor:
    """Cross entropy, the classes along the axis that the labels lack, or along ``axis``; -100 does not count.

    Raises:
        DataError: the shapes do not fit, or a label is no class of the model.
    """
    axis = class_axis(scores.shape, labels.shape, LOSS, axis)
    classes = scores.shape[axis]
    wrong = labels[((labels < 0) & (labels != IGNORED_LABEL)) | (labels >= classes)]
    if len(wrong):
        raise DataError(no_class(int(wrong[0]), classes))
    total = functional.cross_entropy(scores.movedim(axis, 1), labels, ignore_index=IGNORED_LABEL, reduction="sum")
    return total / (labels != IGNORED_LABEL).sum().clamp_min(1)


def first_output(outputs: Any) -> Tensor:
    """The first tensor of whatever a network returns; it holds the scores.

    Raises:
        ModelError: there is none.
    """
    if isinstance(outputs, Tensor):
        return outputs
    found = next((leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)), None)
    if found is None:
        raise ModelError(f"the network returns {a_kind(outputs)} without a tensor; return scores")
    return found


def _divergence(
    student: Tensor, teacher: Tensor, labels: Tensor | None, temperature: float, axis: int | None
) -> Tensor:
    """KL divergence, summed over classes, the mean over the positions that count."""
    axis = _unlabelled_axis(student, axis) if labels is None else class_axis(student.shape, labels.shape, LOSS, axis)
    own, wanted = (functional.log_softmax(scores / temperature, dim=axis) for scores in (student, teacher))
    each = functional.kl_div(own, wanted, reduction="none", log_target=True).sum(axis)
    if labels is None:
        return each.mean()
    counted = (labels != IGNORED_LABEL).to(each.dtype)
    return (each * counted).sum() / counted.sum().clamp_min(1)


def _unlabelled_axis(scores: Tensor, axis: int | None) -> int:
    if axis is None and scores.ndim != 2:
        raise DataError(
            f"outputs of shape {tuple(scores.shape)} do not tell their class axis; give labels, or class_axis"
        )
    return require_class_axis(1 if axis is None else axis, scores.shape)


def present(labels: Any) -> Tensor:
    """The labels, as a tensor where they are numbers in lists.

    Raises:
        DataError: there are none, or they are no numbers.
    """
    if labels is None:
        raise DataError("there are no labels; return (inputs, labels)")
    if isinstance(labels, Tensor):
        return labels
    try:
        return as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(
            f"labels are {a_kind(labels)} that is no array of numbers; give such an array, or a loss that reads them"
        ) from None
