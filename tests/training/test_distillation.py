"""The loss of a student against a teacher that stays as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import DataError, InputError, ModelError, RecipeError
from edgecompress.training import AttentionTransfer, Hint, OwnTask, Taught
from edgecompress.training.distillation import DistillationLoss
from edgecompress.training.feature_taps import TappedOutputs
from edgecompress.training.matching import distillation_loss
from tests.networks import ConvNet, images, seeded
from tests.training.batches import same

LABELS = torch.tensor([0, 1])
STUDENT = torch.tensor([[0.0, math.log(3.0)], [math.log(3.0), 0.0]], dtype=torch.float64)
"""Probabilities 1/4 and 3/4, then 3/4 and 1/4: cross entropy log 4 for both labels."""


def test_the_teacher_stays_as_it_was() -> None:
    teacher = seeded(ConvNet).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    loss = DistillationLoss(teacher, temperature=2.0, alpha=0.7)
    image, labels = images()[0]
    student = seeded(ConvNet, seed=1)
    found = loss(student(image), {"image": image}, labels)
    assert teacher.training
    assert all(parameter.requires_grad for parameter in teacher.parameters())
    for copied in (teacher, loss.teacher):
        assert all(torch.equal(value, before[name]) for name, value in copied.state_dict().items())
    teacher.eval()
    torch.testing.assert_close(found, distillation_loss(student(image), teacher(image), labels, 2.0, 0.7))


def test_without_the_teachers_share_it_is_not_asked() -> None:
    class Broken(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise AssertionError

    loss = DistillationLoss(Broken(), alpha=0.0)
    assert loss(STUDENT, {}, LABELS).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(("temperature", "alpha"), [(0.0, 0.5), (4.0, 1.1)])
def test_impossible_settings_are_refused(temperature: float, alpha: float) -> None:
    with pytest.raises(RecipeError, match=r"temperature is 0|alpha is 1\.1"):
        DistillationLoss(nn.Linear(2, 2), temperature=temperature, alpha=alpha)


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 2])])
def test_labels_that_do_not_fit_are_refused(labels: Tensor | None) -> None:
    with pytest.raises(DataError, match=r"there are no labels|label 2 is out of range"):
        DistillationLoss(nn.Identity(), alpha=0.0)(STUDENT, {}, labels)


class Pair(nn.Module):
    """Scores, and twice the input on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2, bias=False)
        self.inner.weight.data = 2 * torch.eye(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) - x  # type: ignore[no-any-return]


def test_feature_terms_are_added_to_the_task() -> None:
    x = torch.tensor([[1.0, 2.0]])
    own = torch.tensor([[3.0, 1.0]])
    loss = DistillationLoss(Pair(), OwnTask(loss=_distance), features=[Hint("inner", weight=0.5)])
    found = loss(TappedOutputs(torch.tensor([[1.0, 1.0]]), (own,)), {"x": x}, None)
    # The teacher gives (1, 2), and (2, 4) on the way.
    assert float(found) == pytest.approx(1.0 + 0.5 * (1 + 9) / (9 + 1 + 4 + 16))


def _distance(student: Tensor, teacher: Tensor, labels: Tensor | None) -> Tensor:
    return (student - teacher).abs().sum()


def test_features_alone_need_a_teacher_of_no_certain_classes() -> None:
    loss = DistillationLoss(Pair(), Taught(alpha=0.0), features=[Hint("inner")])
    scores = torch.zeros(1, 7)
    found = loss(TappedOutputs(scores, (torch.zeros(1, 2),)), {"x": torch.ones(1, 2)}, torch.tensor([0]))
    assert float(found) == pytest.approx(math.log(7) + 1)


class Same(nn.Module):
    """Its input, through a layer that can be named."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)  # type: ignore[no-any-return]


def test_half_precision_features_are_compared_in_full() -> None:
    loss = DistillationLoss(Same(), OwnTask(loss=lambda *_: torch.zeros(())), features=[AttentionTransfer("inner")])
    feature = torch.full((1, 700, 2, 2), 10.0)  # its sums of squares are beyond float16
    with torch.autocast("cpu"):
        assert float(loss(TappedOutputs(torch.zeros(1, 2), (feature.half(),)), {"x": feature}, None)) == 0


def test_a_student_that_is_not_tapped_is_refused() -> None:
    loss = DistillationLoss(Pair(), features=[Hint("inner")])
    with pytest.raises(ModelError, match="the loss has 1 feature terms, the student 0; tap it"):
        loss(torch.zeros(1, 2), {"x": torch.ones(1, 2)}, torch.tensor([0]))


def test_the_cache_is_asked_in_the_teachers_place(tmp_path: Path) -> None:
    student, (image, labels) = seeded(ConvNet, seed=1), images()[0]
    inputs: Mapping[str, Any] = {"image": image}
    plain, cached = DistillationLoss(seeded(ConvNet)), DistillationLoss(seeded(ConvNet), cache=tmp_path)
    outputs = student(image)
    for _ in range(2):
        assert torch.equal(cached(outputs, inputs, labels), plain(outputs, inputs, labels))
    assert cached.cache is not None
    assert (cached.cache.misses, cached.cache.hits) == (16, 16)
    assert same(cached.teacher, seeded(ConvNet))


def test_a_cache_keeps_no_features(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the cache keeps the teacher's outputs, not its features; leave cache or"):
        DistillationLoss(Pair(), features=[Hint("inner")], cache=tmp_path)
