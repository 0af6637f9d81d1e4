"""What a loss is given of a network's outputs and the targets of a batch, by what it says of itself.

A loss that says nothing is given both as they are. The attribute ``of_classes`` asks for what a metric of classes is
given (:mod:`edgecompress.metrics.metric`): the first output with its classes along axis 1, and class indices, -100 for
what does not count. The package's own losses have two more: ``of_numbers`` asks for the first output and numbers of its
shape, only those that count; ``of_sequences`` for scores (rows, steps, classes) and a sequence of classes for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, as_tensor
from torch.utils import _pytree as pytree

from edgecompress.errors import DataError, ModelError, a_kind, plural
from edgecompress.metrics.accuracy import IGNORED_LABEL, class_axis, no_class, no_class_or_ignored, require_class_axis
from edgecompress.metrics.described import described

LOSS = "the loss"
CLASSES, NUMBERS, SEQUENCES = "of_classes", "of_numbers", "of_sequences"
F = TypeVar("F", bound=Callable[..., Any])


def reads(trait: str) -> Callable[[F], F]:
    """A decorator that lets a loss say what it is given."""

    def said(function: F) -> F:
        setattr(function, trait, True)
        return function

    return said


def read_classes(outputs: Any, targets: Any, axis: int | None, ignored: int | None) -> tuple[Tensor, Tensor]:
    """Scores with their classes along axis 1, and int labels of the shape without it, -100 for what does not count.

    Args:
        outputs: of the network; the first tensor holds the scores.
        targets: class indices.
        axis: of the classes, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.
        ignored: a label that does not count, in addition to -100.

    Raises:
        DataError: labels are missing, do not fit, or are no classes of the model.
        ModelError: the network returns no tensor.
    """
    scores, labels = first_output(outputs), present(targets)
    if labels.is_floating_point():
        raise DataError(f"labels are {described(labels)}; give class indices (integers), or name a loss of numbers")
    axis = class_axis(scores.shape, labels.shape, LOSS, axis)
    classes, counted = scores.shape[axis], is_counted(labels, ignored)
    wrong = labels[counted & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise DataError(no_class_or_ignored(int(wrong[0]), classes))
    return scores.movedim(axis, 1), torch.where(counted, labels, IGNORED_LABEL)


def read_numbers(outputs: Any, targets: Any, _axis: int | None, ignored: int | None) -> tuple[Tensor, Tensor]:
    """The first output and numbers of its shape and dtype; where some do not count, those that do, of one dimension.

    The arguments are those of :func:`read_classes`; -100 among integers does not count.

    Raises:
        DataError: labels are missing, or have another shape.
        ModelError: the network returns no tensor.
    """
    values, wanted = first_output(outputs), present(targets)
    if values.shape != wanted.shape:
        raise DataError(
            f"labels of shape {tuple(wanted.shape)} do not fit outputs of shape {tuple(values.shape)}; give as many"
        )
    counted = is_counted(wanted, ignored)
    if not bool(counted.all()):
        values, wanted = values[counted], wanted[counted]
    return values, wanted.to(values.dtype)


def read_sequences(outputs: Any, targets: Any, axis: int | None, ignored: int | None) -> tuple[Tensor, list[Tensor]]:
    """Scores (rows, steps, classes), and for each row the classes in their order, int64.

    Classes below 1 are padding, since 0 is the blank, and so is what is ignored.

    The arguments are those of :func:`read_classes`; the classes lie along the last axis by default. Targets are
    (rows, length), or a list with a sequence for each row.

    Raises:
        DataError: targets are missing, do not fit, or are no classes of the model.
        ModelError: the network returns no tensor.
    """
    scores = first_output(outputs)
    if scores.ndim != 3:
        raise DataError(f"outputs are {described(scores)}; CTC reads scores (rows, steps, classes)")
    scores = scores.movedim(require_class_axis(-1 if axis is None else axis, scores.shape), -1)
    rows = [_sequence(row, scores.device, ignored) for row in ([] if targets is None else targets)]
    if len(rows) != len(scores):
        raise DataError(
            f"{plural(len(rows), 'sequence')} of classes for {plural(len(scores), 'sample')}; give one for each"
        )
    highest = max((int(row.max()) for row in rows if len(row)), default=0)
    if highest >= scores.shape[-1]:
        raise DataError(no_class(highest, scores.shape[-1]))
    if (longest := max(map(len, rows))) > scores.shape[1]:
        raise DataError(
            f"a sequence of {plural(longest, 'class')} does not fit {plural(scores.shape[1], 'step')};"
            " cut it, or leave it out"
        )
    return scores, rows


READINGS: dict[str, Callable[[Any, Any, int | None, int | None], tuple[Any, Any]]] = {
    CLASSES: read_classes,
    NUMBERS: read_numbers,
    SEQUENCES: read_sequences,
}
"""From outputs, targets, the axis of the classes and the label that is ignored to what a loss is given."""


def is_counted(labels: Tensor, ignored: int | None) -> Tensor:
    """Where labels count, bool of their shape: not at -100 among integers, nor at the label that is ignored."""
    counted = torch.ones_like(labels, dtype=torch.bool)
    if not labels.is_floating_point():
        counted &= labels != IGNORED_LABEL
    return counted if ignored is None else counted & (labels != ignored)


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


def _sequence(row: Any, device: torch.device, ignored: int | None) -> Tensor:
    try:
        classes = as_tensor(row, device=device)
    except (TypeError, ValueError, RuntimeError):
        classes = torch.empty(())
    if classes.ndim != 1 or (len(classes) and classes.is_floating_point()):
        raise DataError(f"a sequence of classes is {described(row)}; give integers of one dimension")
    return classes[(classes > 0) & is_counted(classes, ignored)].long()
