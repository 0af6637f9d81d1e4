"""Tasks against their closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from edgecompress.errors import DataError, ModelError, RecipeError
from edgecompress.training.losses import TargetLoss, cross_entropy, mean_squared_error
from edgecompress.training.matching import distillation_loss
from edgecompress.training.optimizers import adaptive, sgd
from edgecompress.training.tasks import OwnTask, Taught, task_of

VALUES = torch.tensor([[1.0], [3.0]])
TEACHER = torch.tensor([[2.0], [5.0]])
"""Mean squared difference (1 + 4) / 2; variance 9/4."""
LABELS = torch.tensor([[1.0], [0.0]])
"""Mean squared difference (0 + 9) / 2."""


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_a_regression_weighs_two_squared_errors(alpha: float) -> None:
    found = task_of("regression", 4.0, alpha)({"value": VALUES}, (TEACHER,), LABELS)
    assert float(found) == pytest.approx(alpha * 2.5 / 2.25 + (1 - alpha) * 4.5)


def test_the_teacher_alone_needs_no_labels_and_others_do() -> None:
    assert float(task_of("regression", 4.0, 1.0)(VALUES, TEACHER, None)) == pytest.approx(2.5 / 2.25)
    for alpha in (0.0, 0.5):
        with pytest.raises(DataError, match="there are no labels"):
            task_of("regression", 4.0, alpha)(VALUES, TEACHER, None)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_classification_is_the_distillation_loss_of_first_outputs(alpha: float) -> None:
    student, teacher = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, -1.0]])
    labels = torch.tensor([0])
    found = task_of("classification", 2.0, alpha)({"logits": student}, [teacher], labels)
    assert float(found) == float(distillation_loss(student, teacher, labels, 2.0, alpha))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_no_gradient_reaches_the_teacher(kind: str) -> None:
    teacher = torch.rand(2, 3, requires_grad=True)
    task_of(kind, 4.0, 1.0)(torch.rand(2, 3, requires_grad=True), teacher, None).backward()  # type: ignore[no-untyped-call]
    assert teacher.grad is None


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_outputs_of_another_shape_are_refused(kind: str) -> None:
    with pytest.raises(ModelError, match=r"the student's outputs are \(2, 1\), the teacher's \(2, 4\); give a teacher"):
        task_of(kind, 4.0, 1.0)(VALUES, torch.zeros(2, 4), None)


@pytest.mark.parametrize(("kind", "measure"), [("classification", cross_entropy), ("regression", mean_squared_error)])
def test_the_teacher_is_asked_where_it_counts(kind: str, measure: TargetLoss) -> None:
    assert [task_of(kind, 4.0, alpha).asks_teacher for alpha in (0.0, 0.1)] == [False, True]
    assert task_of(kind, 4.0, 0.5).measure == measure


def test_a_loss_of_outputs_and_targets_is_weighed_against_the_teacher() -> None:
    loss = TargetLoss(name="first", function=lambda outputs, targets: (outputs["a"] - targets["a"]).abs().mean())
    task = task_of(loss, 4.0, 0.25, ignore_index=7, output_weights={"b": 2.0})
    student, teacher = {"a": VALUES, "b": VALUES}, {"a": VALUES, "b": TEACHER}
    found = task(student, teacher, {"a": LABELS})
    assert float(found) == pytest.approx(0.25 * 2 * 2.5 / 2.25 + 0.75 * 1.5)
    assert isinstance(task, Taught)
    assert (task.loss.ignore_index, task.matching.ignore_index) == (7, 7)


def test_where_the_classes_lie_is_told_to_both_parts() -> None:
    task = Taught().with_class_axis(-1)
    assert (task.loss.class_axis, task.matching.class_axis) == (-1, -1)


def test_a_loss_of_three_arguments_sees_everything() -> None:
    def both(student: Any, teacher: Any, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return torch.cat([student["a"] - teacher["a"], student["b"] - labels]).abs().sum()

    task = task_of(both, 4.0, 0.5)
    found = task({"a": VALUES, "b": VALUES}, {"a": TEACHER}, LABELS)
    assert float(found) == 3.0 + 3.0
    assert (task.asks_teacher, task.measure, isinstance(task, OwnTask)) == (True, None, True)


def test_tasks_have_names() -> None:
    assert task_of("classification", 4.0, 0.5) == Taught()
    with pytest.raises(RecipeError, match="loss is 'regresion'; give 'classification' or 'regression', or a function"):
        task_of("regresion", 4.0, 0.5)


@pytest.mark.parametrize(("temperature", "alpha"), [(0.0, 0.5), (-1.0, 0.5), (4.0, -0.1), (4.0, 1.5), (4.0, math.nan)])
@pytest.mark.parametrize("loss", ["classification", "regression", lambda *outputs: outputs[0]])
def test_impossible_values_are_refused(loss: Any, temperature: float, alpha: float) -> None:
    with pytest.raises(RecipeError, match=r"temperature is .*; give|alpha is .*; give"):
        task_of(loss, temperature, alpha)


def test_gradients_of_a_loss_of_which_nothing_is_known_are_shortened() -> None:
    tasks = [task_of(loss, 4.0, 0.5) for loss in ("classification", "regression", lambda *outputs: outputs[0])]
    assert [task.max_gradient_norm for task in tasks] == [None, 1.0, None]


def test_steps_for_a_loss_of_which_nothing_is_known_do_not_depend_on_how_steep_it_is() -> None:
    tasks = [task_of(loss, 4.0, 0.5) for loss in ("classification", "regression", lambda *outputs: outputs[0])]
    assert [task.optimizer for task in tasks] == [sgd, adaptive, sgd]
