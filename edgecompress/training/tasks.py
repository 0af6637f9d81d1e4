"""Tasks: what a student loses on its outputs, given the teacher's and the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from torch import Tensor

from edgecompress.errors import RecipeError, nearest
from edgecompress.training.losses import BY_TASK, Loss, TargetLoss, cross_entropy, named_loss
from edgecompress.training.matching import Matching, check_distillation
from edgecompress.training.optimizers import OptimizerFactory, adaptive, sgd
from edgecompress.training.readings import CLASSES

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

    @property
    def max_gradient_norm(self) -> float | None:
        """The norm to which gradients are clipped where the settings say nothing; None for no limit."""

    @property
    def optimizer(self) -> OptimizerFactory:
        """What makes the optimizer where the settings say nothing."""

    def __call__(self, student: Any, teacher: Any, labels: Any, /) -> Tensor:
        """The mean over the samples; no gradient flows into the teacher's outputs."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """alpha * what the outputs differ from the teacher's + (1 - alpha) * a loss of outputs and targets.

    Attributes:
        loss: against the targets; they may be missing where alpha is 1.
        matching: against the teacher.
        alpha: 0 to 1; at 0 the teacher is not asked.

    Raises:
        RecipeError: temperature or alpha is out of range.
    """

    loss: TargetLoss = cross_entropy
    matching: Matching = field(default_factory=Matching)
    alpha: float = 0.5

    def __post_init__(self) -> None:
        check_distillation(self.matching.temperature, self.alpha)

    @property
    def asks_teacher(self) -> bool:
        """Whether alpha is above 0."""
        return self.alpha > 0

    @property
    def measure(self) -> Loss:
        """The loss against the targets."""
        return self.loss

    @property
    def max_gradient_norm(self) -> float | None:
        """1 where the loss is none of classes: of how steep others are nothing is known."""
        return None if self.loss.reading == CLASSES else 1.0

    @property
    def optimizer(self) -> OptimizerFactory:
        """SGD for a loss of classes, and one whose steps do not depend on how steep the loss is for others."""
        return sgd if self.loss.reading == CLASSES else adaptive

    def with_class_axis(self, axis: int | None) -> Taught:
        """The same with the axis of the classes in the first output."""
        loss, matching = replace(self.loss, class_axis=axis), replace(self.matching, class_axis=axis)
        return replace(self, loss=loss, matching=matching)

    def __call__(self, student: Any, teacher: Any, labels: Any, /) -> Tensor:
        """The loss of the outputs."""
        if not self.asks_teacher:
            return self.loss(student, {}, labels)
        soft = self.matching(student, teacher, labels)
        return soft if self.alpha == 1 else self.alpha * soft + (1 - self.alpha) * self.loss(student, {}, labels)


@dataclass(frozen=True, kw_only=True)
class OwnTask:
    """A loss of the user's own, for whatever the networks return, which weighs teacher and labels by itself."""

    loss: OutputLoss
    asks_teacher: bool = True
    measure: Loss | None = None
    max_gradient_norm: float | None = None
    optimizer: OptimizerFactory = sgd

    def __call__(self, student: Any, teacher: Any, labels: Any, /) -> Tensor:
        """What the user's loss gives."""
        return self.loss(student, teacher, labels)


def task_of(
    loss: str | TargetLoss | OutputLoss,
    temperature: float,
    alpha: float,
    class_axis: int | None = None,
    *,
    ignore_index: int | None = None,
    output_weights: Mapping[str, float] | None = None,
) -> Task:
    """The task of a loss of outputs and targets, or of one of three arguments, which weighs the teacher by itself.

    Args:
        loss: ``classification`` (cross entropy), ``regression`` (the squared error), or a loss.
        temperature: above 0, for scores of classes.
        alpha: 0 to 1, the weight of the teacher against the targets.
        class_axis: where classes lie in the scores, as :func:`edgecompress.metrics.accuracy.class_axis` takes it.
        ignore_index: a label that does not count, in addition to -100.
        output_weights: of the outputs, by their names.

    Raises:
        RecipeError: there is no such task, or temperature or alpha is out of range.
    """
    check_distillation(temperature, alpha)
    if isinstance(loss, str):
        if loss not in BY_TASK:
            known = " or ".join(map(repr, BY_TASK))
            raise RecipeError(f"loss is {loss!r}; give {known}, or a function{nearest(loss, BY_TASK)}")
        loss = named_loss(BY_TASK[loss])
    if not isinstance(loss, TargetLoss):
        return OwnTask(loss=loss)
    matching = Matching(
        temperature=temperature,
        reading=loss.reading,
        class_axis=class_axis,
        ignore_index=ignore_index,
        weights=dict(output_weights or {}),
    )
    return Taught(loss=replace(loss, class_axis=class_axis, ignore_index=ignore_index), matching=matching, alpha=alpha)
