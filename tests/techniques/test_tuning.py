"""Training as a recipe asks for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.data.batches import Batches, InputNames
from edgecompress.data.splits import Streams
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Distillation, Recipe, Training
from edgecompress.techniques import tuning
from edgecompress.techniques.context import Context
from edgecompress.techniques.tuning import feature_terms, fine_tune, loss_gradients, recover
from edgecompress.training import (
    AttentionTransfer,
    Classification,
    Epoch,
    Hint,
    Regression,
    Relational,
    Settings,
    Trained,
)
from edgecompress.training.tasks import Task

X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
LABELS = torch.tensor([0, 1, 1, 1])


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(x)
        return scores


def _net() -> nn.Module:
    net = Net()
    with torch.no_grad():
        net.fc.weight.copy_(torch.eye(2))
        net.fc.bias.copy_(torch.tensor([0.0, 0.1]))
    return net


def _data(role: str) -> Batches:
    data = [(X[:2], LABELS[:2]), (X[2:], LABELS[2:])]
    return Batches(role=role, source=lambda: data, inputs=InputNames(names=("x",), required=1))


def _context(net: nn.Module, recipe: Recipe | None = None, **data: Batches) -> Context:
    return Context(
        original=net,
        teacher=net,
        recipe=recipe or Recipe(),
        example=_data("train").first(),
        streams=Streams(**data),
        checkpoints=None,
        progress=Progress(),
    )


def test_gradients_add_up_over_the_batches_and_leave_none_behind() -> None:
    net = _net()
    found = loss_gradients(net, _context(net, train=_data("train")), "criterion 'taylor'")
    assert all(each.grad is None for each in net.parameters())
    sum(nn.functional.cross_entropy(net(X[i : i + 2]), LABELS[i : i + 2]) for i in (0, 2)).backward()  # type: ignore[union-attr]
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What each training was asked for; none of them runs."""
    asked: list[dict[str, Any]] = []

    def teach(
        student: nn.Module, _teacher: nn.Module, _data: Batches, _settings: Settings, task: Task, **named: Any
    ) -> Trained:
        asked.append({"task": task, **named})
        epoch = Epoch(number=1, loss=0.0, score=None, samples_per_second=1.0)
        return Trained(model=student, history=(epoch,), best_epoch=1)

    monkeypatch.setattr(tuning, "teach", teach)
    return asked


def test_evaluation_data_are_looked_at_only_for_patience(taught: list[dict[str, Any]]) -> None:
    data = {role: _data(role) for role in ("train", "evaluation")}
    for training in (Training(), Training(patience=2)):
        fine_tune(_net(), Distillation(), _context(_net(), Recipe(training=training), **data), 1, None)
    assert [each["evaluation"] for each in taught] == [None, data["evaluation"]]


@pytest.mark.parametrize("teacher", [True, False])
def test_the_teacher_is_asked_where_the_recipe_says_so(taught: list[dict[str, Any]], teacher: bool) -> None:
    learned = Distillation(temperature=2.0, alpha=0.9, hints=("fc",))
    recipe = Recipe(training=Training(teacher=teacher), distillation=learned)
    recover(_net(), _context(_net(), recipe, train=_data("train")), 1, None)
    task = taught[0]["task"]
    assert task.asks_teacher is teacher
    assert taught[0]["features"] == ((Hint("fc"),) if teacher else ())
    assert not teacher or task == Classification(temperature=2.0, alpha=0.9)


def test_layers_are_named_once_or_as_a_pair() -> None:
    learned = Distillation(attention=("a=b",), attention_weight=3.0, relations=("c",), relation_weight=2.0)
    assert feature_terms(learned) == (
        AttentionTransfer("a", "b", weight=3.0),
        Relational("c", None, distance_weight=2.0, angle_weight=4.0),
    )


def test_numbers_are_learned_by_squared_errors(taught: list[dict[str, Any]]) -> None:
    recipe = Recipe(training=Training(task="regression"))
    fine_tune(_net(), Distillation(alpha=0.25), _context(_net(), recipe, train=_data("train")), 1, None)
    assert taught[0]["task"] == Regression(alpha=0.25)


def test_without_data_nothing_is_done() -> None:
    net = _net()
    assert recover(net, _context(net), 4, None) is net
