"""What a student loses against its teacher's outputs: each output is matched by what it is.

Scores of classes by the divergence of their softened probabilities (Hinton et al., 2015, "Distilling the Knowledge in a
Neural Network"), along the axis of the classes. Everything else, such as boxes, heat maps, embeddings or scores of
classes that may be there together, by the squared error, as logits were first matched (Ba and Caruana, 2014, "Do Deep
Nets Really Need to be Deep?") and boxes are (Chen et al., 2017, "Learning Efficient Object Detection Models with
Knowledge Distillation"); over the variance of the teacher's output, which makes it a share: an output counts alike in
pixels and in metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import _pytree as pytree

from edgecompress.errors import DataError, ModelError, RecipeError, plural
from edgecompress.exporters.output_names import names_of_tensors
from edgecompress.metrics.accuracy import class_axis, open_class_axes, require_class_axis
from edgecompress.recipe.arguments import number
from edgecompress.training.losses import classification_loss
from edgecompress.training.readings import CLASSES, LOSS, NUMBERS, SEQUENCES, is_counted, present

LEAST_VARIANCE = 1e-3
"""Of a teacher's output, as a share of its mean square: one that is all but constant is not blown up."""


@dataclass(frozen=True, kw_only=True)
class Matching:
    """The sum over the outputs of what a student loses on each, by its weight.

    An output holds scores of classes where it is the first one and the labels are known to be classes of it: by what
    the loss reads, by ``class_axis``, or since they are integers of its shape without one axis. In a dict or a tuple of
    labels those under an output's name, or at its place, speak of that output.

    Attributes:
        temperature: above 0; the higher, the more the classes after the first count.
        reading: what the loss is given (:data:`~edgecompress.training.readings.READINGS`); what it reads as numbers is
            matched as numbers.
        class_axis: of the first output, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.
        ignore_index: a label at whose positions scores of classes do not count, in addition to -100.
        weights: by the name of an output in the exported file; 1 where none is given, and 0 leaves an output out.
    """

    temperature: float = 4.0
    reading: str | None = CLASSES
    class_axis: int | None = None
    ignore_index: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, student: Any, teacher: Any, labels: Any) -> Tensor:
        """A scalar; no gradient flows into the teacher's outputs.

        Raises:
            ModelError: the teacher gives more outputs, or others in shape.
            RecipeError: a weight is of no output.
            DataError: labels do not fit, or the axis of the classes is unknown.
        """
        pairs = paired_outputs(student, teacher)
        if unknown := [name for name in self.weights if name not in pairs]:
            known = ", ".join(pairs)
            raise RecipeError(
                f"'distillation.output_weights' names {unknown[0]!r}, and the outputs are {known}; name one of these"
            )
        total = torch.zeros((), device=next(iter(pairs.values()))[0].device)
        places = {name: place for place, name in enumerate(_named(student))}
        for name, (own, given) in pairs.items():
            place = places[name]
            weight = self.weights.get(name, 1.0)
            if weight:
                leave_out = f", or set distillation.output_weights.{name}=0" if len(pairs) > 1 else ""
                check_same_shape(own, given, leave_out)
                wide = torch.promote_types(own.dtype, torch.float32)
                said = labels if place == 0 and self.reading == CLASSES else labels_of(labels, name, place)
                total = total + weight * self._difference(place, own.to(wide), given.detach().to(wide), said)
        return total

    def _difference(self, place: int, own: Tensor, given: Tensor, labels: Any) -> Tensor:
        axis = self._class_axis(place, own, labels)
        if axis is None:
            return normalized_squared_error(own, given)
        counted = None
        by_place = place > 0 or self.reading != SEQUENCES
        if by_place and _are_integers(labels) and labels.shape == own.select(axis, 0).shape:
            counted = is_counted(labels, self.ignore_index) & (labels >= 0) & (labels < own.shape[axis])
        return self.temperature**2 * divergence(own, given, axis, self.temperature, counted)

    def _class_axis(self, place: int, scores: Tensor, labels: Any) -> int | None:
        """The axis of the classes; None for what holds no scores of classes."""
        reading, asked = (None, None) if place else (self.reading, self.class_axis)
        if reading == NUMBERS:
            return None
        if reading == SEQUENCES:
            return require_class_axis(-1 if asked is None else asked, scores.shape)
        if reading == CLASSES and labels is None:
            return _unlabelled_axis(scores, asked)
        if reading == CLASSES:
            return class_axis(scores.shape, present(labels).shape, LOSS, asked)
        if asked is not None:
            axes = [require_class_axis(asked, scores.shape)]
        else:
            axes = [*open_class_axes(scores.shape, labels.shape)] if _are_integers(labels) else []
        # A single score is no choice among classes.
        return next((axis % scores.ndim for axis in axes if scores.shape[axis] > 1), None)


def divergence(student: Tensor, teacher: Tensor, axis: int, temperature: float, counted: Tensor | None) -> Tensor:
    """KL(softmax(teacher / T) || softmax(student / T)), summed over classes; the mean over the positions that count.

    Args:
        student: scores.
        teacher: scores of the same shape.
        axis: of the classes.
        temperature: T, above 0.
        counted: bool, of the shape without that axis; None where all count.
    """
    own, wanted = (functional.log_softmax(scores / temperature, dim=axis) for scores in (student, teacher))
    each = functional.kl_div(own, wanted, reduction="none", log_target=True).sum(axis)
    if counted is None:
        return each.mean()
    weights = counted.to(each.dtype)
    return (each * weights).sum() / weights.sum().clamp_min(1)


def normalized_squared_error(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference as a share of the variance of all that the teacher says; of a constant 0, as it is.

    Args:
        student: of any shape.
        teacher: of the same shape.

    >>> float(normalized_squared_error(torch.tensor([10.0, 30.0]), torch.tensor([0.0, 20.0])))
    1.0
    """
    scale = torch.maximum(teacher.var(correction=0), LEAST_VARIANCE * teacher.square().mean())
    return functional.mse_loss(student, teacher) / torch.where(scale > 0, scale, 1.0)


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
    if alpha == 0:
        return classification_loss(student, labels, axis)
    soft = Matching(temperature=temperature, class_axis=axis)(student, teacher, labels)
    return soft if alpha == 1 else alpha * soft + (1 - alpha) * classification_loss(student, labels, axis)


def check_distillation(temperature: float, alpha: float) -> None:
    """Refuse a temperature or a weight that means nothing.

    Raises:
        RecipeError: temperature is 0 or less, or alpha outside [0, 1].
    """
    number("temperature", temperature, lambda value: value > 0, "give a number above 0")
    number("alpha", alpha, lambda share: 0 <= share <= 1, "give 0 (labels only) to 1 (teacher only)")


def check_same_shape(student: Tensor, teacher: Tensor, otherwise: str = "") -> None:
    """Refuse outputs that do not answer the same question.

    Args:
        student: outputs.
        teacher: outputs.
        otherwise: another way out, for the message.

    Raises:
        ModelError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ModelError(
            f"the student's outputs are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)};"
            f" give a teacher with the same outputs{otherwise}"
        )


def paired_outputs(student: Any, teacher: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """The outputs of floating point by the student's names for them, each with the teacher's.

    They are paired by their names where the student has all of the teacher's, else in their order. What a student gives
    beyond that, as auxiliary heads do that are there in training only, has nothing to match.

    Raises:
        ModelError: the teacher gives none, or more than the student.
    """
    own, given = (_named(outputs) for outputs in (student, teacher))
    if not given or len(own) < len(given):
        raise ModelError(
            f"the student gives {plural(len(own), 'output')} of floating point, the teacher"
            f" {len(given)}; give a teacher with the"
            " same outputs"
        )
    if own.keys() >= given.keys():
        return {name: (output, given[name]) for name, output in own.items() if name in given}
    return dict(zip(own, zip(own.values(), given.values(), strict=False), strict=False))


def labels_of(labels: Any, name: str, place: int) -> Any:
    """What targets say of an output: a dict and a tuple of each that they have, others of the first one.

    >>> labels_of({"scores": 1}, "scores", 1), labels_of((1, 2), "scores", 1), labels_of([1, 2], "scores", 1)
    (1, 2, None)
    """
    if isinstance(labels, Mapping):
        return labels.get(name)
    if isinstance(labels, tuple):
        return labels[place] if place < len(labels) else None
    return labels if place == 0 else None


def _named(outputs: Any) -> dict[str, Tensor]:
    leaves = [leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor)]
    named = zip(names_of_tensors(outputs, ()), leaves, strict=True)
    return {name: leaf for name, leaf in named if leaf.is_floating_point()}


def _are_integers(labels: Any) -> bool:
    return isinstance(labels, Tensor) and not labels.is_floating_point()


def _unlabelled_axis(scores: Tensor, axis: int | None) -> int:
    if axis is None and scores.ndim != 2:
        raise DataError(
            f"outputs of shape {tuple(scores.shape)} do not tell their class axis; give labels, or class_axis"
        )
    return require_class_axis(1 if axis is None else axis, scores.shape)
