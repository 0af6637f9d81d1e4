"""Tasks: what a student loses on its outputs, given the teacher's and the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor
from torch.nn import functional

from edgecompress.errors import RecipeError, nearest
from edgecompress.training.losses import (
    Loss,
    check_distillation,
    check_same_shape,
    classification_loss,
    cross_entropy,
    distillation_loss,
    first_output,
    mean_squared_error,
    present,
)

OutputLoss = Callable[[Any, Any, Any], Tensor]
"""A student's outputs, the teacher's, and the labels, for the same samples, to a scalar: the mean over these."""


class Task(Protocol):
    """A loss of outputs, and what it needs."""

    @property
    def asks_teacher(self) -> bool:
        """Whether the teacher's outputs count; where they do not, None stands for them."""

    @property
    def measure(self) -> Loss | None:
        """What a student is measured by where there are no classes; None for the whole loss."""

    def __call__(self, student: Any, teacher: Any, labels: Tensor | None, /) -> Tensor:
        """The mean over the samples; no gradient flows into the teacher's outputs."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Hinton et al. (2015), on the first output of each: :func:`~edgecompress.training.losses.distillation_loss`.

    ``class_axis`` is the axis of the classes, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.

    Raises:
        RecipeError: temperature or alpha is out of range.
    """

    temperature: float = 4.0
    alpha: float = 0.5
    class_axis: int | None = None

    def __post_init__(self) -> None:
        check_distillation(self.temperature, self.alpha)

    @property
    def asks_teacher(self) -> bool:
        """Whether alpha is above 0."""
        return self.alpha > 0

    @property
    def measure(self) -> Loss:
        """Cross entropy."""
        return cross_entropy

    def __call__(self, student: Any, teacher: Any, labels: Tensor | None, /) -> Tensor:
        """The loss of the scores."""
        scores = first_output(student)
        if not self.asks_teacher:
            return classification_loss(scores, present(labels), self.class_axis)
        return distillation_loss(scores, first_output(teacher), labels, self.temperature, self.alpha, self.class_axis)


@dataclass(frozen=True, kw_only=True)
class Regression:
    """alpha * MSE(student, teacher) + (1 - alpha) * MSE(student, labels), on the first output of each.

    Raises:
        RecipeError: alpha is out of range.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        check_distillation(1.0, self.alpha)

    @property
    def asks_teacher(self) -> bool:
        """Whether alpha is above 0."""
        return self.alpha > 0

    @property
    def measure(self) -> Loss:
        """The mean squared error against the labels."""
        return mean_squared_error

    def __call__(self, student: Any, teacher: Any, labels: Tensor | None, /) -> Tensor:
        """The loss of the values."""
        if not self.asks_teacher:
            return mean_squared_error(student, {}, labels)
        own, given = first_output(student), first_output(teacher)
        check_same_shape(own, given)
        taught = functional.mse_loss(own, given.detach())
        return (
            taught if self.alpha == 1 else self.alpha * taught + (1 - self.alpha) * mean_squared_error(own, {}, labels)
        )


@dataclass(frozen=True, kw_only=True)
class OwnTask:
    """A loss of the user's own, for whatever the networks return."""

    loss: OutputLoss
    asks_teacher: bool = True
    measure: Loss | None = None

    def __call__(self, student: Any, teacher: Any, labels: Tensor | None, /) -> Tensor:
        """What the user's loss gives."""
        return self.loss(student, teacher, labels)


def task_of(
    loss: Literal["classification", "regression"] | OutputLoss,
    temperature: float,
    alpha: float,
    class_axis: int | None = None,
) -> Task:
    """The task of that name, or one of the user's own, which weighs teacher and labels by itself.

    ``class_axis`` is where classes lie in the scores, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.

    Raises:
        RecipeError: there is no such task, or temperature or alpha is out of range.
    """
    check_distillation(temperature, alpha)
    named: dict[Any, Task] = {
        "classification": Classification(temperature=temperature, alpha=alpha, class_axis=class_axis),
        "regression": Regression(alpha=alpha),
    }
    if callable(loss):
        return OwnTask(loss=loss)
    if loss not in named:
        raise RecipeError(
            f"loss is {loss!r}; give {' or '.join(map(repr, named))}, or a function{nearest(loss, named)}"
        )
    return named[loss]
