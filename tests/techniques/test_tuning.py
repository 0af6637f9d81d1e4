"""Training as a recipe asks for it."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch
from torch import nn

from edgecompress.data import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.recipe import Recipe, Training
from edgecompress.streams import Streams
from edgecompress.techniques import tuning
from edgecompress.techniques.course import Course
from edgecompress.techniques.tuning import fine_tune, loss_gradients, recover
from edgecompress.training import DistillationLoss, cross_entropy

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


def _course(net: nn.Module, recipe: Recipe | None = None, **data: Batches) -> Course:
    return Course(
        teacher=net,
        recipe=recipe or Recipe(),
        example=_data("train").first(),
        streams=Streams(**data),
        checkpoints=None,
        progress=Progress(),
    )


def test_gradients_add_up_over_the_batches_and_leave_none_behind() -> None:
    net = _net()
    found = loss_gradients(net, _data("train"), Progress())
    assert all(one.grad is None for one in net.parameters())
    sum(nn.functional.cross_entropy(net(X[i : i + 2]), LABELS[i : i + 2]) for i in (0, 2)).backward()  # type: ignore[union-attr]
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


def test_evaluation_data_are_looked_at_only_for_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(tuning, "train", lambda *_args, **named: seen.append(named["evaluation"]))
    data = {role: _data(role) for role in ("train", "evaluation")}
    for training in (Training(), Training(patience=2)):
        fine_tune(_net(), cross_entropy, _course(_net(), Recipe(training=training), **data), 1, None)
    assert seen == [None, data["evaluation"]]


@pytest.mark.parametrize("teacher", [True, False])
def test_the_teacher_is_asked_where_the_recipe_says_so(monkeypatch: pytest.MonkeyPatch, teacher: bool) -> None:
    losses = []
    monkeypatch.setattr(tuning, "train", lambda _model, _data, _settings, loss, **_named: losses.append(loss))
    recipe = Recipe().model_copy(update={"pruning": Recipe().pruning.model_copy(update={"teacher": teacher})})
    with suppress(AttributeError):  # nothing was trained
        recover(_net(), _course(_net(), recipe, train=_data("train")), 1, None)
    assert isinstance(losses[0], DistillationLoss) if teacher else losses == [cross_entropy]


def test_without_data_nothing_is_done() -> None:
    net = _net()
    assert recover(net, _course(net), 4, None) is net
