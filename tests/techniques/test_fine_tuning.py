"""Training as a recipe asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgecompress.data.batches import Batches
from edgecompress.recipe.tables import Distillation, Recipe, Training
from edgecompress.techniques import fine_tuning
from edgecompress.techniques.fine_tuning import asked_terms, fine_tune, recover
from edgecompress.training import (
    AttentionTransfer,
    Epoch,
    Hint,
    Relational,
    Settings,
    Trained,
    task_of,
)
from edgecompress.training.tasks import Task
from tests.techniques.linear import context_of, labelled, linear_net


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

    monkeypatch.setattr(fine_tuning, "teach", teach)
    return asked


def test_evaluation_data_are_looked_at_only_for_patience(taught: list[dict[str, Any]]) -> None:
    data = {role: labelled(role) for role in ("train", "evaluation")}
    for training in (Training(), Training(patience=2)):
        fine_tune(linear_net(), Distillation(), context_of(linear_net(), Recipe(training=training), **data), 1, None)
    assert [each["evaluation"] for each in taught] == [None, data["evaluation"]]


@pytest.mark.parametrize("teacher", [True, False])
def test_the_teacher_is_asked_where_the_recipe_says_so(taught: list[dict[str, Any]], teacher: bool) -> None:
    learned = Distillation(temperature=2.0, alpha=0.9, hints=("fc",))
    recipe = Recipe(training=Training(teacher=teacher), distillation=learned)
    recover(linear_net(), context_of(linear_net(), recipe, train=labelled("train")), 1, None)
    task = taught[0]["task"]
    assert task.asks_teacher is teacher
    assert taught[0]["features"] == ((Hint("fc"),) if teacher else ())
    assert not teacher or task == task_of("classification", 2.0, 0.9)


def test_layers_are_named_once_or_as_a_pair() -> None:
    learned = Distillation(attention=("a=b",), attention_weight=3.0, relations=("c",), relation_weight=2.0)
    assert asked_terms(learned) == (
        AttentionTransfer("a", "b", weight=3.0),
        Relational("c", None, distance_weight=2.0, angle_weight=4.0),
    )


def test_numbers_are_learned_by_squared_errors(taught: list[dict[str, Any]]) -> None:
    recipe = Recipe(training=Training(task="regression"))
    fine_tune(
        linear_net(), Distillation(alpha=0.25), context_of(linear_net(), recipe, train=labelled("train")), 1, None
    )
    assert taught[0]["task"] == task_of("regression", 4.0, 0.25)


def test_what_is_learned_is_told_all_that_the_recipe_says(taught: list[dict[str, Any]]) -> None:
    training = Training(loss="l1", ignore_index=255)
    learned = Distillation(alpha=0.25, output_weights={"boxes": 2.0})
    context = context_of(linear_net(), Recipe(training=training), train=labelled("train"))
    fine_tune(linear_net(), learned, context, 1, None)
    task = taught[0]["task"]
    assert (task.loss.name, task.loss.ignore_index, task.alpha) == ("l1", 255, 0.25)
    assert (task.matching.weights, task.matching.ignore_index, task.max_gradient_norm) == ({"boxes": 2.0}, 255, 1.0)


def test_without_data_nothing_is_done() -> None:
    net = linear_net()
    assert recover(net, context_of(net), 4, None) is net
