"""Losses against their closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.errors import DataError, InputError, ModelError, RecipeError
from edgecompress.training.losses import Loss, TargetLoss, classification_loss, cross_entropy, mean_squared_error
from edgecompress.training.matching import distillation_loss
from edgecompress.training.readings import first_output

LABELS = torch.tensor([0, 1])
STUDENT = torch.tensor([[0.0, math.log(3.0)], [math.log(3.0), 0.0]], dtype=torch.float64)
"""Probabilities 1/4 and 3/4, then 3/4 and 1/4: cross entropy log 4 for both labels."""
TEACHER = torch.zeros(2, 2, dtype=torch.float64)
"""Probabilities 1/2: KL(1/2, 1/2 || 1/4, 3/4) = log 2 / 2 + log(2/3) / 2."""
DIVERGENCE = math.log(2) / 2 + math.log(2 / 3) / 2


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_at_temperature_one_by_hand(alpha: float) -> None:
    wanted = alpha * DIVERGENCE + (1 - alpha) * math.log(4)
    assert distillation_loss(STUDENT, TEACHER, LABELS, 1.0, alpha).item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_a_temperature_scales_the_scores_and_the_loss(temperature: float) -> None:
    found = distillation_loss(STUDENT * temperature, TEACHER, LABELS, temperature, 1.0).item()
    assert found == pytest.approx(temperature**2 * DIVERGENCE, rel=1e-12)


def test_a_student_that_agrees_with_its_teacher_loses_nothing() -> None:
    scores = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert distillation_loss(scores, scores + 3.0, torch.zeros(5, dtype=torch.long), 2.0, 1.0).item() == pytest.approx(
        0
    )


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_gradient_is_that_of_the_loss(alpha: float) -> None:
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(3, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    labels = torch.tensor([0, 3, -100])
    student.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda s: distillation_loss(s, teacher, labels, 3.0, alpha), (student,))


def test_no_gradient_reaches_the_teacher() -> None:
    teacher = TEACHER.clone().requires_grad_(True)
    distillation_loss(STUDENT.clone().requires_grad_(True), teacher, LABELS, 2.0, 0.5).backward()  # type: ignore[no-untyped-call]
    assert teacher.grad is None


def test_ignored_positions_and_the_axis_of_classes() -> None:
    generator = torch.Generator().manual_seed(2)
    student, teacher = (torch.randn(2, 3, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    labels = torch.tensor([[0, 1, -100], [2, -100, 4]])
    own, given = (scores.reshape(6, 5)[labels.reshape(6) != -100] for scores in (student, teacher))
    wanted = distillation_loss(own, given, labels[labels != -100], 2.0, 0.4)
    torch.testing.assert_close(distillation_loss(student, teacher, labels, 2.0, 0.4), wanted)
    moved = distillation_loss(student.movedim(2, 1), teacher.movedim(2, 1), labels, 2.0, 0.4)
    torch.testing.assert_close(moved, wanted)


@pytest.mark.parametrize(
    ("temperature", "alpha", "fix"),
    [
        (0.0, 0.5, "temperature is 0.0; give a number above 0"),
        (float("nan"), 0.5, "temperature is nan; give a number above 0"),
        (4.0, 1.1, "alpha is 1.1; give 0"),
        (4.0, -0.1, "alpha is -0.1; give 0"),
    ],
)
def test_impossible_settings_are_refused(temperature: float, alpha: float, fix: str) -> None:
    with pytest.raises(RecipeError, match=fix):
        distillation_loss(STUDENT, TEACHER, LABELS, temperature, alpha)


def test_a_teacher_of_other_classes_is_refused() -> None:
    with pytest.raises(ModelError, match="outputs") as caught:
        distillation_loss(STUDENT, torch.zeros(2, 3), LABELS, 4.0, 0.5)
    assert str(caught.value) == (
        "the student's outputs are (2, 2), the teacher's (2, 3); give a teacher with the same outputs"
    )


def test_cross_entropy_is_that_of_pytorch_on_the_first_output() -> None:
    outputs = {"logits": STUDENT, "hidden": torch.zeros(1)}
    assert cross_entropy(outputs, {}, LABELS).item() == functional.cross_entropy(STUDENT, LABELS).item()


def test_mean_squared_error_by_hand() -> None:
    assert mean_squared_error((torch.tensor([[1.0], [3.0]]),), {}, torch.tensor([[0.0], [1.0]])).item() == 2.5


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([0, 2]), "label 2 is out of range; the model gives 2 classes; number them 0 to 1"),
        (torch.tensor([-1, 0]), "label -1 is out of range"),
        (torch.tensor([0]), r"labels of shape \(1,\) do not fit outputs of shape \(2, 2\); give a class for each row"),
        (None, r"there are no labels; return \(inputs, labels\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor | None, words: str) -> None:
    with pytest.raises(DataError, match=words):
        cross_entropy(STUDENT, {}, labels)


@pytest.mark.parametrize("labels", [None, torch.zeros(2)])
def test_a_regression_needs_labels_of_the_outputs_shape(labels: Tensor | None) -> None:
    with pytest.raises(DataError, match=r"no labels|do not fit outputs"):
        mean_squared_error(STUDENT, {}, labels)


def test_the_teacher_alone_needs_no_labels_where_the_classes_are_known() -> None:
    assert distillation_loss(STUDENT, TEACHER, None, 1.0, 1.0).item() == pytest.approx(DIVERGENCE)
    with pytest.raises(
        InputError, match=r"^outputs of shape \(2, 3, 4\) do not tell their class axis; give labels, or class_axis$"
    ):
        distillation_loss(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4), None, 1.0, 1.0)
    with pytest.raises(DataError, match="there are no labels"):
        distillation_loss(STUDENT, TEACHER, None, 1.0, 0.5)


def test_outputs_without_a_tensor_are_refused() -> None:
    with pytest.raises(ModelError, match="the network returns a dict without a tensor"):
        first_output({"loss": 3.0})


def test_a_batch_in_which_no_label_counts_teaches_nothing() -> None:
    scores, ignored = torch.randn(3, 4), torch.full((3,), -100)
    assert float(classification_loss(scores, ignored)) == 0
    assert float(distillation_loss(scores, torch.randn(3, 4), ignored, 2.0, 0.5)) == 0


@pytest.mark.parametrize("labels", [[{"boxes": [1]}, {}], ["a", "b"], {"a": 1}])
@pytest.mark.parametrize("loss", [cross_entropy, mean_squared_error])
def test_labels_of_another_form_need_a_loss_that_reads_them(loss: Loss, labels: Any) -> None:
    with pytest.raises(DataError) as caught:
        loss(torch.zeros(2, 3), {}, labels)
    assert str(caught.value) == (
        f"labels are a {type(labels).__name__} that is no array of numbers; give such an array, or a loss that reads"
        " them"
    )


def test_numbers_in_lists_are_labels() -> None:
    scores = torch.randn(2, 3, 2)
    nested = [[0, 1], [2, 2]]
    assert cross_entropy(scores, {}, nested) == cross_entropy(scores, {}, torch.tensor(nested))


OUTPUTS = {"boxes": torch.rand(2, 3, requires_grad=True), "scores": torch.rand(2, 4, requires_grad=True)}
TARGETS = [{"boxes": torch.rand(1, 4)}, {"boxes": torch.rand(0, 4)}]


def _own(function: Any, **said: Any) -> TargetLoss:
    return TargetLoss(name="mine.py:loss", function=function, **said)


def test_a_loss_of_ones_own_is_given_outputs_and_targets_as_they_are() -> None:
    def loss(outputs: Any, targets: Any) -> Tensor:
        given.append((outputs, targets))
        total: Tensor = outputs["boxes"].sum() + len(targets)
        return total.reshape(1, 1)

    given: list[tuple[Any, Any]] = []
    value = _own(loss)(OUTPUTS, {}, TARGETS)
    assert given[0][0] is OUTPUTS
    assert given[0][1] is TARGETS
    assert value.ndim == 0
    assert float(value.detach()) == pytest.approx(float(OUTPUTS["boxes"].detach().sum()) + 2)


def test_one_of_classes_is_given_what_a_metric_of_classes_is() -> None:
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels)

    scores, labels = torch.randn(2, 5, 3), torch.tensor([[0, 1, 255, 2, 2], [1, -100, 0, 0, 255]])
    found = _own(loss, reading="of_classes", ignore_index=255)(scores, {}, labels)
    torch.testing.assert_close(found, functional.cross_entropy(scores.movedim(2, 1), labels.where(labels < 3, -100)))


def test_a_mean_over_nothing_spoils_no_loss_of_ones_own() -> None:
    loss = _own(nn.CrossEntropyLoss(ignore_index=255), ignore_index=255)
    scores = torch.randn(2, 3, requires_grad=True)
    value = loss(scores, {}, torch.tensor([255, 255]))
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert scores.grad is not None
    assert not scores.grad.any()
    assert float(loss(scores, {}, torch.tensor([255, 1])).detach()) > 0


def test_no_boxes_are_targets_all_the_same() -> None:
    value = _own(lambda outputs, boxes: outputs.sum() + boxes.numel())(torch.ones(2, 3), {}, torch.zeros(2, 0, 5))
    assert float(value) == 6


def test_a_zero_of_ones_own_for_a_batch_without_anything_to_learn_has_a_gradient() -> None:
    scores = torch.full((2, 3), math.inf, requires_grad=True)
    value = _own(lambda *_: torch.tensor(0))(scores, {}, TARGETS)
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_a_loss_without_a_gradient_measures_where_none_is_asked_for() -> None:
    with torch.inference_mode():
        assert float(_own(lambda *_: torch.tensor(3.0))(torch.ones(2), {}, TARGETS)) == 3


def test_a_module_follows_the_outputs_to_their_device() -> None:
    class Weighed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, outputs: Tensor, targets: Any) -> Tensor:
            return (outputs * self.weight).sum()

    module = Weighed()
    assert _own(module)(torch.ones(2, 3, device="meta"), {}, TARGETS).device.type == "meta"
    assert module.weight.device.type == "meta"


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (
            lambda outputs, targets: targets["masks"],
            "loss 'mine.py:loss' raised TypeError: list indices must be integers or slices, not str; repair it: it is"
            " given outputs a dict, and targets a list of 2, the first a dict",
        ),
        (
            lambda outputs, targets: outputs["scores"].sum(1),
            "loss 'mine.py:loss' gives torch.float32 (2,); return a tensor of one number, the mean over the batch",
        ),
        (
            lambda outputs, targets: 0.5,
            "loss 'mine.py:loss' gives a float; return a tensor of one number, the mean over the batch",
        ),
        (
            lambda outputs, targets: outputs["scores"].detach().sum(),
            "loss 'mine.py:loss' has no gradient; compute it from the outputs with PyTorch, without detach(), item() or"
            " NumPy",
        ),
    ],
)
def test_what_a_loss_of_ones_own_does_wrong_is_one_line(function: Any, told: str) -> None:
    with pytest.raises(RecipeError) as caught:
        _own(function)(OUTPUTS, {}, TARGETS)
    assert str(caught.value) == told
