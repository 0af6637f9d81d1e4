"""Tasks against their closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from edgecompress.errors import DataError, ModelError, RecipeError
from edgecompress.training.losses import cross_entropy, distillation_loss, mean_squared_error
from edgecompress.training.tasks import Classification, OwnTask, Regression, Task, task_of

VALUES = torch.tensor([[1.0], [3.0]])
TEACHER = torch.tensor([[2.0], [5.0]])
"""Mean squared difference (1 + 4) / 2."""
LABELS = torch.tensor([[1.0], [0.0]])
"""Mean squared difference (0 + 9) / 2."""


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_a_regression_weighs_two_squared_errors(alpha: float) -> None:
    found = Regression(alpha=alpha)({"value": VALUES}, (TEACHER,), LABELS)
    assert float(found) == pytest.approx(alpha * 2.5 + (1 - alpha) * 4.5)


def test_a_regression_by_the_teacher_alone_needs_no_labels_and_others_do() -> None:
    assert float(Regression(alpha=1.0)(VALUES, TEACHER, None)) == 2.5
    for alpha in (0.0, 0.5):
        with pytest.raises(DataError, match="there are no labels"):
            Regression(alpha=alpha)(VALUES, TEACHER, None)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_a_classification_is_the_distillation_loss_of_first_outputs(alpha: float) -> None:
    student, teacher = torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, -1.0]])
    labels = torch.tensor([0])
    found = Classification(temperature=2.0, alpha=alpha)({"logits": student}, [teacher], labels)
    assert float(found) == pytest.approx(float(distillation_loss(student, teacher, labels, 2.0, alpha)))


@pytest.mark.parametrize("kind", [Classification, Regression])
def test_no_gradient_reaches_the_teacher(kind: Any) -> None:
    teacher = torch.rand(2, 3, requires_grad=True)
    kind(alpha=1.0)(torch.rand(2, 3, requires_grad=True), teacher, None).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("task", [Classification(), Regression()])
def test_outputs_of_another_shape_are_refused(task: Task) -> None:
    with pytest.raises(ModelError, match=r"the student's outputs are \(2, 1\), the teacher's \(2, 4\); give a teacher"):
        task(VALUES, torch.zeros(2, 4), LABELS)


def test_the_teacher_is_asked_where_it_counts() -> None:
    assert [Classification(alpha=a).asks_teacher for a in (0.0, 0.1)] == [False, True]
    assert [Regression(alpha=a).asks_teacher for a in (0.0, 0.1)] == [False, True]
    assert (Classification().measure, Regression().measure) == (cross_entropy, mean_squared_error)


def test_a_loss_of_ones_own_sees_everything() -> None:
    def both(student: Any, teacher: Any, labels: Tensor | None) -> Tensor:
        assert labels is not None
        return torch.cat([student["a"] - teacher["a"], student["b"] - labels]).abs().sum()

    task = task_of(both, 4.0, 0.5)
    found = task({"a": VALUES, "b": VALUES}, {"a": TEACHER}, LABELS)
    assert float(found) == 3.0 + 3.0
    assert (task.asks_teacher, task.measure, isinstance(task, OwnTask)) == (True, None, True)


def test_tasks_have_names() -> None:
    assert task_of("classification", 3.0, 0.2) == Classification(temperature=3.0, alpha=0.2)
    assert task_of("regression", 3.0, 0.2) == Regression(alpha=0.2)
    unknown: Any = "regresion"
    with pytest.raises(RecipeError, match="loss is 'regresion'; give 'classification' or 'regression', or a function"):
        task_of(unknown, 4.0, 0.5)


@pytest.mark.parametrize(("temperature", "alpha"), [(0.0, 0.5), (-1.0, 0.5), (4.0, -0.1), (4.0, 1.5), (4.0, math.nan)])
@pytest.mark.parametrize("loss", ["classification", "regression", lambda *outputs: outputs[0]])
def test_impossible_values_are_refused(loss: Any, temperature: float, alpha: float) -> None:
    with pytest.raises(RecipeError, match=r"temperature is .*; give|alpha is .*; give"):
        task_of(loss, temperature, alpha)
