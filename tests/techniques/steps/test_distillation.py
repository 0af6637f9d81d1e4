"""The step that distils: who teaches, who learns, and what the report is told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.recipe.tables import parse_recipe
from edgecompress.techniques.context import Context
from edgecompress.techniques.steps import distillation
from edgecompress.techniques.steps.distillation import distill
from edgecompress.techniques.student import Student
from tests.networks import ConvNet, images, seeded
from tests.techniques.contexts import context


def _context(teacher: nn.Module, epochs: int = 1, **distilled: Any) -> Context:
    recipe = parse_recipe({"training": {"epochs": epochs, "average_decay": 0.5}, "distillation": distilled})
    return context(teacher, recipe, "train", "evaluation")


def _distance(first: nn.Module, other: nn.Module) -> float:
    with torch.no_grad():
        inputs = torch.cat([image for image, _ in images(rows=8, batches=3)])
        return float((first(inputs).softmax(1) - other(inputs).softmax(1)).abs().mean())


def test_a_student_of_its_own_comes_nearer_to_its_teacher() -> None:
    teacher, student = seeded(ConvNet), seeded(ConvNet)
    with torch.no_grad():
        teacher.get_parameter("classifier.weight").mul_(30)
    before = copy.deepcopy([each.state_dict() for each in (teacher, student)])
    result = distill(student, _context(teacher, epochs=10, alpha=1.0))
    assert _distance(result.model, teacher) < 0.7 * _distance(student, teacher)
    for network, state in zip((teacher, student), before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert result.changes[0].startswith("learned for 10 epochs, the loss from ")
    assert result.metrics["student_macs"] == result.metrics["original_macs"]
    assert 0 <= float(result.metrics["student_accuracy_percent"]) <= 100


def test_a_network_that_is_its_own_teacher_gets_a_student(monkeypatch: pytest.MonkeyPatch) -> None:
    network, smaller = seeded(ConvNet), seeded(ConvNet)
    asked: list[nn.Module] = []

    def derive(teacher: nn.Module, _context: Context) -> Student:
        asked.append(teacher)
        return Student(model=smaller, refusals=(), multiple=16)

    monkeypatch.setattr(distillation, "derive_student", derive)
    result = distill(network, _context(network))
    assert asked == [network]
    assert {parameter.shape for parameter in result.model.parameters()} == {
        parameter.shape for parameter in smaller.parameters()
    }
    distill(smaller, _context(network))
    assert asked == [network]


def test_a_teacher_of_other_classes_is_refused() -> None:
    class Wider(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = seeded(ConvNet)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.inner(image)] * 2, dim=1)

    with pytest.raises(ModelError, match="give a teacher with the same outputs"):
        distill(seeded(ConvNet), _context(Wider()))
