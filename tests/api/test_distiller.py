"""The front end: a student trained in place, a teacher that is never modified, and one line for what does not fit."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from edgecompress import DataError, Distiller, InputError, ModelError, OutputError, RecipeError
from edgecompress.training import Hint, Relational, crop_and_flip
from edgecompress.training.matching import distillation_loss
from tests.networks import ConvNet, LinearStack, ResidualNet, TwoInputs, images, seeded
from tests.training.batches import learnable, same
from tests.training.test_loop import Lines

DATA, OTHERS = learnable(), learnable(seed=1)


class Student(nn.Module):
    """Takes its input under another name than ``LinearStack``."""

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.hidden, self.head = nn.Linear(32, 24), nn.Linear(24, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.hidden(x).relu())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def teacher() -> nn.Module:
    """Trained on the labels alone: alpha is 0."""
    stack = seeded(LinearStack)
    Distiller(seeded(LinearStack), stack, alpha=0.0).train_student(DATA, epochs=20, learning_rate=0.1)
    return stack.train()


def _state(network: nn.Module) -> tuple[Any, ...]:
    """Everything that must stay: weights, statistics, modes and what is trained."""
    modes = [part.training for part in network.modules()]
    return copy.deepcopy(network), modes, [parameter.requires_grad for parameter in network.parameters()]


def _unchanged(network: nn.Module, before: tuple[Any, ...]) -> bool:
    return same(network, before[0]) and _state(network)[1:] == before[1:]


def test_the_loss_is_the_closed_form() -> None:
    distiller = Distiller(Student(), Student(), 2.0, 0.25)
    student, taught, labels = torch.randn(4, 10), torch.randn(4, 10), torch.arange(4)
    found = distiller.distillation_loss(student, taught, labels)
    soft = nn.functional.kl_div((student / 2).log_softmax(1), (taught / 2).softmax(1), reduction="batchmean")
    wanted = 0.25 * 4 * soft + 0.75 * nn.functional.cross_entropy(student, labels)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found, distillation_loss(student, taught, labels, 2.0, 0.25))


def test_a_student_is_trained_in_place_and_agrees_with_its_teacher(teacher: nn.Module) -> None:
    student, before = Student(), _state(teacher)
    distiller = Distiller(teacher, student, alpha=0.9, features=[Hint("hidden", "layers.0", weight=0.1)])
    first = distiller.evaluate(OTHERS)
    optimizer = Adam(student.parameters(), lr=1e-2)
    trained = distiller.train_student(DATA, optimizer, 16, evaluation=OTHERS)
    assert trained.model is student
    assert not student.training
    assert _unchanged(teacher, before)
    assert distiller.evaluate(OTHERS) == trained.best.score
    assert first.accuracy is not None
    assert trained.best.score is not None
    assert trained.best.score.accuracy is not None
    assert trained.best.score.accuracy > first.accuracy + 20
    agreed = torch.cat([student(x).argmax(1) == teacher(x).argmax(1) for x, _ in DATA]).float().mean()
    assert agreed > 0.75
    right = sum(int((teacher(x).argmax(1) == y).sum()) for x, y in OTHERS)
    assert distiller.evaluate_teacher(OTHERS).accuracy == pytest.approx(100 * right / 256)
    assert _unchanged(teacher, before)


def test_the_best_epoch_counts_and_patience_ends_the_run(teacher: nn.Module) -> None:
    student = Student()
    distiller = Distiller(teacher, student)
    trained = distiller.train_student(DATA, epochs=30, learning_rate=0.3, evaluation=OTHERS, patience=2)
    assert len(trained.history) == trained.best_epoch + 2
    assert distiller.evaluate(OTHERS) == trained.best.score


def test_a_model_of_one_dict_learns_by_its_keys() -> None:
    class OneDict(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, batch: dict[str, Tensor]) -> Any:
            return self.inner(batch["features"], batch["token"])

    rows = {"features": torch.rand(8, 4), "token": torch.arange(8), "labels": torch.arange(8) % 3}
    student, taught = OneDict(seeded(TwoInputs)), OneDict(seeded(TwoInputs, seed=1))
    before = copy.deepcopy(student)
    hints = [Hint("inner.mix"), Relational("inner.head")]
    distiller = Distiller(taught, student, features=hints)
    trained = distiller.train_student([rows] * 2, epochs=3, evaluation=[rows])
    assert trained.model is student
    assert trained.history[-1].loss < trained.history[0].loss
    assert not same(student, before)
    assert distiller.evaluate([rows]).accuracy == trained.best.score.accuracy  # type: ignore[union-attr]


def test_a_regression_learns_numbers_and_is_measured_by_them() -> None:
    data = [(x, x[:, :2].sum(1, keepdim=True)) for x, _ in DATA]
    student, taught = Student(1), Student(1)
    distiller = Distiller(taught, student, alpha=0.0, loss="regression")
    distiller.train_student(data, epochs=8, learning_rate=0.1)
    wanted = [float((student(x) - y).square().mean().detach()) for x, y in data]
    assert distiller.evaluate(data).loss == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)
    assert sum(wanted) < 8
    assert distiller.evaluate_teacher(data).loss > 1  # type: ignore[operator]


def test_outputs_of_any_kind_learn_by_a_loss_of_ones_own() -> None:
    def loss(student: Any, taught: Any, labels: Tensor | None) -> Tensor:
        return nn.functional.mse_loss(student["logits"], taught["logits"]) + nn.functional.mse_loss(
            student["hidden"], taught["hidden"]
        )

    data = [(torch.rand(8, 4), torch.arange(8)) for _ in range(4)]
    student, taught = seeded(TwoInputs), seeded(TwoInputs, seed=1)
    distiller = Distiller(taught, student, loss=loss)
    trained = distiller.train_student([{"features": x, "token": t} for x, t in data], epochs=10, learning_rate=0.1)
    assert trained.history[-1].loss < trained.history[0].loss / 2
    (x, t), numbers = data[0], torch.rand(8)
    score = distiller.evaluate([{"features": x, "token": t, "labels": numbers}])
    assert score.loss == pytest.approx(float(loss(student(x, t), taught(x, t), numbers).detach()), rel=1e-5)
    assert distiller.evaluate_teacher([{"features": x, "token": t, "labels": numbers}]).loss == 0


def test_a_loss_of_ones_own_is_given_targets_of_any_form() -> None:
    def loss(student: Any, taught: Any, labels: list[dict[str, Any]]) -> Tensor:
        seen.extend(labels)
        wanted = torch.stack([entry["boxes"].sum(0) for entry in labels])
        return nn.functional.mse_loss(student, wanted)

    seen: list[Any] = []
    targets = [{"boxes": torch.rand(count, 10)} for count in (1, 0, 3, 2)]
    data = [(torch.rand(4, 32), targets)]
    distiller = Distiller(seeded(Student), seeded(Student), loss=loss)
    distiller.train_student(data, epochs=1)
    score = distiller.evaluate(data)
    assert all(any(entry is given for given in targets) for entry in seen)
    assert score.loss is not None


class Found(nn.Module):
    """Two outputs by their names."""

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body, self.boxes, self.scores = nn.Linear(32, width), nn.Linear(width, 4), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen = self.body(x).relu()
        return {"boxes": 100 * self.boxes(seen), "scores": self.scores(seen)}


def _of_boxes(outputs: dict[str, Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
    return nn.functional.l1_loss(outputs["boxes"], torch.stack([target["box"] for target in targets]))


class OfBoxes:
    def __call__(self, outputs: dict[str, Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
        return _of_boxes(outputs, targets)


@pytest.mark.parametrize("loss", [_of_boxes, OfBoxes, OfBoxes(), f"{__name__}:_of_boxes"])
def test_several_outputs_learn_by_a_loss_and_from_their_teacher(loss: Any) -> None:
    taught = Found(24, 0)
    with torch.no_grad():
        data = [(x, [{"box": box} for box in taught(x)["boxes"] + 1.0]) for x, _ in DATA]
    student = Found(8, 1)
    distiller = Distiller(taught, student, loss=loss, alpha=0.5, output_weights={"boxes": 2.0})
    before = distiller.evaluate(data).loss
    trained = distiller.train_student(data, epochs=3)
    after = distiller.evaluate(data).loss
    assert distiller.evaluate_teacher(data).loss == pytest.approx(1.0, rel=1e-4)
    assert before is not None
    assert after is not None
    assert after < 0.9 * before
    assert trained.history[-1].loss < trained.history[0].loss


def test_a_label_that_is_ignored_teaches_and_measures_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    hides = [torch.rand(len(labels), generator=generator) < 0.3 for _, labels in DATA]
    students = []
    for hidden in (-100, 255):
        data = [(x, y.masked_fill(hide, hidden)) for (x, y), hide in zip(DATA, hides, strict=True)]
        distiller = Distiller(seeded(LinearStack), Student(), ignore_index=255)
        distiller.train_student(data, epochs=1, evaluation=data)
        students.append((distiller.student, distiller.evaluate(data)))
    assert same(students[0][0], students[1][0])
    assert students[0][1] == students[1][1]


@pytest.mark.parametrize("loss", ["smooth_l1", nn.functional.smooth_l1_loss, nn.SmoothL1Loss, nn.SmoothL1Loss()])
def test_losses_of_pytorch_are_taken_by_name_and_as_they_are(loss: Any) -> None:
    """PyTorch's functions have more arguments, which need not be given."""
    numbers = [(x, torch.stack([x[:, 0], x[:, 1]], 1)) for x, _ in DATA]
    distiller = Distiller(Student(2), Student(2), alpha=0.0, loss=loss)
    found = distiller.evaluate(numbers).loss
    with torch.no_grad():
        wanted = [float(nn.functional.smooth_l1_loss(distiller.student(x), y)) for x, y in numbers]
    assert found == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)


def test_any_setting_reaches_the_training(teacher: nn.Module, tmp_path: Path) -> None:
    def make(groups: Any, rate: float) -> Optimizer:
        made.append((rate, [group["weight_decay"] for group in groups]))
        return SGD(groups, lr=rate)

    made: list[Any] = []
    progress, student = Lines(), Student()
    Distiller(teacher, student, cache=tmp_path / "cache", seed=3).train_student(
        DATA,
        make,
        2,
        learning_rate=0.01,
        weight_decay=0.1,
        accumulation=3,
        max_gradient_norm=1.0,
        mixed_precision="no",
        average_decay=0.9,
        checkpoints=tmp_path / "run",
        progress=progress,
        evaluation=OTHERS,
    )
    assert made == [(0.01, [0.1, 0.0])]
    lines = [line for line in progress.lines if line.startswith("training, epoch 2 of 2")]
    assert len(lines) == 3
    assert all("loss " in line and "accuracy " in line and " samples/s" in line for line in lines)
    assert (tmp_path / "run" / "training.pt").exists()
    assert len(list((tmp_path / "cache").glob("teacher-*.sqlite"))) == 1


def test_images_are_augmented_for_both(tmp_path: Path) -> None:
    student = seeded(ConvNet)
    distiller = Distiller(seeded(ResidualNet), student)
    distiller.train_student(images(), epochs=1, augment=crop_and_flip)
    plain = seeded(ConvNet)
    Distiller(seeded(ResidualNet), plain).train_student(images(), epochs=1)
    assert not same(student, plain)


def _nan(bad: int) -> Any:
    calls = iter(range(10**6))

    def loss(student: Tensor, taught: Tensor, labels: Tensor | None) -> Tensor:
        return student.square().mean() * (math.nan if next(calls) == bad else 1.0)

    return loss


UNLABELLED = [x for x, _ in DATA]
CULPRITS: dict[str, tuple[dict[str, Any], dict[str, Any], type[InputError], str]] = {
    "shape": ({"student": Student(7)}, {}, ModelError, r"the student's outputs are \(8, 7\), the teacher's \(8, 10\)"),
    "empty": ({}, {"train_loader": []}, DataError, "the train data yields no batches; return at least one"),
    "labels": ({}, {"train_loader": UNLABELLED}, DataError, "the first train batch: there are no labels; return"),
    "evaluation": ({}, {"evaluation": UNLABELLED}, DataError, "evaluation batch 0 has no labels"),
    "once": ({}, {"train_loader": iter(DATA)}, DataError, "can be read only once"),
    "epochs": ({}, {"epochs": 0}, RecipeError, "epochs is 0; give a whole number of 1 or more"),
    "nan": ({"loss": _nan(6)}, {}, DataError, r"epoch 1, train batch 5: the loss is nan; lower the learning rate"),
    "layer": ({"features": [Hint("hiden", "layers.0")]}, {}, RecipeError, "no layer 'hiden'; did you mean 'hidden'"),
    "cache": ({"features": [Hint("head", "layers.0")], "cache": "x"}, {}, RecipeError, "leave cache or features out"),
    "foreign": ({}, {"optimizer": SGD(Student().parameters(), lr=0.1)}, RecipeError, "that Student does not have"),
    "weight": (
        {"output_weights": {"logit": 2}},
        {},
        RecipeError,
        "names 'logit', and the outputs are output; name one",
    ),
    "detached": ({"loss": lambda y, t: y.detach().sum()}, {}, RecipeError, "<lambda>' has no gradient; compute it"),
    "steep": (
        {"loss": lambda y, t: y.sum() * math.nan},
        {},
        RecipeError,
        "the loss is nan before the first step; look",
    ),
    "range": ({}, {"train_loader": [(x, y + 5) for x, y in DATA]}, DataError, "label 1[0-4] is out of range"),
}


@pytest.mark.parametrize("culprit", CULPRITS)
def test_bad_input_is_one_line_and_nothing_is_touched(culprit: str, teacher: nn.Module) -> None:
    made, options, kind, words = CULPRITS[culprit]
    made = {"student": Student(), **made}
    made["student"].head.bias.requires_grad_(False)
    states = [(network, _state(network)) for network in (teacher, made["student"].train())]
    with pytest.raises(kind, match=words) as caught:
        Distiller(teacher, **made).train_student(**{"train_loader": DATA, "epochs": 2, **options})
    assert len(str(caught.value).splitlines()) == 1
    assert all(_unchanged(network, before) for network, before in states)
    assert not Path("x").exists()


def test_rates_of_two_minds_are_refused(teacher: nn.Module) -> None:
    student = Student()
    with pytest.raises(RecipeError, match="the optimizer has a learning_rate of its own; leave one of the two out"):
        Distiller(teacher, student).train_student(DATA, Adam(student.parameters()), learning_rate=0.1)


def test_after_a_loss_that_is_not_finite_the_last_checkpoint_stays(teacher: nn.Module, tmp_path: Path) -> None:
    students = [Student() for _ in range(3)]
    with pytest.raises(DataError, match="epoch 2, train batch 1: the loss is nan"):
        Distiller(teacher, students[0], loss=_nan(10)).train_student(DATA, epochs=3, checkpoints=tmp_path)
    Distiller(teacher, students[1], loss=_nan(-1)).train_student(DATA, epochs=3, checkpoints=tmp_path)
    Distiller(teacher, students[2], loss=_nan(-1)).train_student(DATA, epochs=3)
    assert same(students[1], students[2])
    with pytest.raises(OutputError, match="is from another run"):
        Distiller(teacher, students[1], loss=_nan(-1)).train_student(DATA, epochs=3, checkpoints=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (lambda value: (value, value), ModelError, "teacher and student are the same module; give a copy"),
        (lambda value: ("resnet", value), ModelError, r"the teacher is a str; give a torch\.nn\.Module"),
        (lambda value: (value, None), ModelError, r"the student is None; give a torch\.nn\.Module"),
        (lambda value: (value, Student(), 0.0), RecipeError, "temperature is 0.0; give a number above 0"),
        (lambda value: (value, Student(), -4.0), RecipeError, "temperature is -4.0; give a number above 0"),
        (lambda value: (value, Student(), 4.0, 1.5), RecipeError, "alpha is 1.5; give 0"),
        (lambda value: (value, Student(), 4.0, -0.1), RecipeError, "alpha is -0.1; give 0"),
    ],
)
def test_impossible_distillers_are_refused(arguments: Any, kind: type[InputError], words: str) -> None:
    with pytest.raises(kind, match=words):
        Distiller(*arguments(Student()))


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"loss": "smoth_l1"}, r"got 'smoth_l1' in 'loss'; did you mean 'smooth_l1'\?"),
        ({"loss": "gone.py:loss"}, "file 'gone.py' does not exist; check the path"),
        ({"loss": lambda outputs: outputs}, r"<lambda>' cannot be called with \(outputs, targets\); give a function"),
        ({"ignore_index": 0.5}, "expected whole number, got 0.5 in 'ignore_index'"),
        ({"ignore_index": True}, "expected whole number, got True in 'ignore_index'"),
        ({"output_weights": {"boxes": -1}}, "got -1 in 'output_weights.boxes'"),
        ({"output_weights": ["boxes"]}, "in 'output_weights'"),
    ],
)
def test_losses_and_weights_that_mean_nothing_are_refused(named: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Distiller(Student(), Student(), **named)
