"""Students are checked, taught, and handed back bare; killed, resumed, and in company."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from edgecompress.arrays import SHARED
from edgecompress.data.batches import Batch
from edgecompress.errors import DataError, InputError, ModelError, RecipeError
from edgecompress.system.randomness import RandomStates
from edgecompress.training import (
    AttentionTransfer,
    Hint,
    OwnTask,
    Relational,
    Settings,
    Taught,
    Trained,
    TrainingStep,
    crop_and_flip,
    sgd,
    task_of,
    teach,
)
from tests.conftest import ROOT
from tests.heard import Heard
from tests.networks import ConvNet, ResidualNet, seeded
from tests.training.batches import batches, learnable, same, shuffled, stack

FEATURES = (Hint("features.5", "stem"), AttentionTransfer("features.2", "stem.2"), Relational("pool", "project"))
SETTINGS = Settings(epochs=2, accumulation=2, average_decay=0.8, checkpoint_steps=2, checkpoint_seconds=1e9)


class Narrow(nn.Module):
    """A student of ``LinearStack`` without batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)  # type: ignore[no-any-return]


def taught(
    folder: Path | None = None, cache: Path | None = None, features: Any = (), kill: Any = None, **changed: Any
) -> Trained:
    """Six shuffled batches an epoch."""
    settings = Settings(**{**vars(SETTINGS), **changed})
    options: Any = {} if kill is None else {"on_step": kill}
    return teach(
        seeded(ConvNet),
        seeded(ResidualNet, seed=1),
        shuffled(),
        settings,
        Taught(),
        features=features,
        cache=cache,
        evaluation=shuffled(),
        checkpoints=folder,
        **options,
    )


def _vectors(**options: Any) -> Any:
    return batches(learnable(**options), name="features")


def _constant(optimizer: Optimizer, _steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


def test_a_hint_is_learned_with_its_projection() -> None:
    """Through 16 numbers a linear layer of 64 is told as well as its largest 16 singular values tell it."""
    data, teacher, student = learnable(), stack(), Narrow()
    layer = teacher.get_submodule("layers.0").double()
    told = layer(torch.cat([x for x, _ in data]).double()).detach()
    layer.float()
    _, _, directions = torch.linalg.svd(told - told.mean(0))
    nearest = told.mean(0) + (told - told.mean(0)) @ directions[:16].T @ directions[:16]
    best = float(Hint("layers.0")(nearest, told))
    settings = Settings(epochs=30, optimizer=Adam(student.parameters(), lr=0.03))
    silent = OwnTask(loss=lambda *_: torch.zeros(()))
    trained = teach(student, teacher, batches(data, name="features"), settings, silent, features=[Hint("layers.0")])
    assert trained.history[-1].loss == pytest.approx(best, rel=0.05)
    assert type(trained.model) is Narrow
    assert not trained.model.training


@pytest.mark.parametrize("make", [None, lambda student: Adam(student.parameters(), lr=1e-2)])
def test_projections_are_trained_whatever_the_optimizer(make: Any) -> None:
    student, seen = Narrow(), []
    before = copy.deepcopy(student)
    settings = Settings(epochs=1, scheduler=_constant) if make is None else Settings(epochs=1, optimizer=make(student))

    def note(step: TrainingStep) -> None:
        seen.append({name: value.clone() for name, value in step.model.named_parameters()})

    teach(student, stack(), _vectors(), settings, Taught(), features=[Hint("layers.1", "layers.3")], on_step=note)
    assert all(not torch.equal(value, seen[-1][name]) for name, value in seen[0].items())
    assert {name for name in seen[0] if name.startswith("projections")} == {
        "projections.0.weight",
        "projections.0.bias",
    }
    assert same(student, before)
    if make is not None:
        assert len(settings.optimizer.param_groups) == 1  # type: ignore[union-attr]


def test_nothing_that_was_given_is_modified() -> None:
    student, teacher, state = seeded(ConvNet), seeded(ResidualNet).train(), RandomStates.now()
    before = copy.deepcopy(student), copy.deepcopy(teacher)
    student.get_parameter("classifier.bias").requires_grad_(False)
    teach(student, teacher, shuffled(), SETTINGS, Taught(), features=FEATURES)
    assert same(student, before[0])
    assert same(teacher, before[1])
    assert teacher.training
    assert not student.training
    assert [name for name, parameter in student.named_parameters() if not parameter.requires_grad] == [
        "classifier.bias"
    ]
    assert torch.equal(RandomStates.now().torch_state, state.torch_state)


def test_a_regression_is_measured_by_its_labels() -> None:
    """The loss counts the teacher's error, the score does not."""
    data = batches([(x, x[:, :10]) for x, _ in learnable()], name="features", label_kinds="iuf")
    settings = Settings(epochs=1, learning_rate=1e-9)
    trained = teach(Narrow(), stack(), data, settings, task_of("regression", 4.0, 0.5), evaluation=data)
    wanted = [(trained.model(x) - x[:, :10]).square().mean().item() for x, _ in learnable()]
    assert trained.best.score is not None
    assert trained.best.score.loss == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)


class Broken(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        raise AssertionError


def test_a_teacher_that_counts_for_nothing_is_not_run() -> None:
    for task in (Taught(alpha=0.0), OwnTask(loss=lambda own, *_: own.square().mean(), asks_teacher=False)):
        teach(Narrow(), Broken(), _vectors(count=2), Settings(epochs=1), task)
    with pytest.raises(ModelError, match="the teacher: the network fails: AssertionError"):
        teach(Narrow(), Broken(), _vectors(count=2), Settings(epochs=1), Taught(alpha=0.1))


def _wide() -> nn.Module:
    return nn.Sequential(stack(), nn.Linear(10, 12))


class Wide(nn.Module):
    """Two classes more."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = _wide()

    def forward(self, features: Tensor) -> Tensor:
        return self.inner(features)  # type: ignore[no-any-return]


X, Y = learnable(count=1)[0]


@pytest.mark.parametrize(
    ("teacher", "data", "options", "kind", "words"),
    [
        (Wide(), [(X, Y)], {}, ModelError, r"the student's outputs are \(8, 10\), the teacher's \(8, 12\); give a"),
        (stack(), [X], {}, DataError, "the first train batch: there are no labels"),
        (stack(), [], {}, DataError, "the train data yields no batches"),
        (stack(), [(X, Y)], {"features": [Hint("layer.1")]}, RecipeError, "'layer.1'; did you mean 'layers.1'"),
        (stack(), [(X, Y)], {"features": [Hint("layers.1", "x")]}, RecipeError, "LinearStack has no layer 'x'"),
        (
            stack(),
            [(X, Y)],
            {"features": [AttentionTransfer("layers.1")]},
            RecipeError,
            r"student layer 'layers.1' gives \(8, 16\), teacher layer 'layers.1' \(8, 64\), which Attention",
        ),
    ],
)
def test_what_does_not_fit_is_one_line_before_the_first_step(
    teacher: nn.Module, data: list[Any], options: Any, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    with pytest.raises(kind, match=words) as caught:
        teach(
            Narrow(),
            teacher,
            batches(data, name="features"),
            Settings(),
            Taught(),
            checkpoints=folder,
            **options,
        )
    assert len(str(caught.value).splitlines()) == 1
    assert not folder.exists()


class Empty:
    """Data without batches that say nothing of it."""

    def __iter__(self) -> Iterator[Batch]:
        return iter(())

    def count(self) -> int:
        return 0


def test_data_without_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="the train data yields no batches; return at least one"):
        teach(Narrow(), stack(), Empty(), Settings(), Taught())


def test_the_cache_changes_no_weight_and_the_teacher_sees_each_sample_once(tmp_path: Path) -> None:
    plain, cached = taught(epochs=3), taught(cache=tmp_path, epochs=3)
    assert same(plain.model, cached.model)
    again = taught(cache=tmp_path, epochs=3)
    assert same(plain.model, again.model)


def test_a_cache_of_augmented_samples_is_warned_of(tmp_path: Path) -> None:
    told = Heard()
    student, teacher = seeded(ConvNet), seeded(ResidualNet)
    for augment in (None, crop_and_flip):
        settings = Settings(epochs=1, augment=augment)
        teach(student, teacher, shuffled(), settings, Taught(), cache=tmp_path, progress=told)
    assert told.lines == ["augmentation makes new samples: the teacher's cache grows, and saves little"]


@pytest.mark.parametrize("axis", [1, SHARED])
def test_the_cache_takes_no_inputs_whose_samples_lie_elsewhere(tmp_path: Path, axis: int) -> None:
    data = batches([torch.randn(4, 32)], name="state", use_labels=False, axes={"state": axis})
    told = (
        "the teacher's cache tells samples apart by the first dimension, which does not hold those of 'state'; leave"
        " cache out"
    )
    with pytest.raises(RecipeError, match=told):
        teach(stack(), stack(1), data, SETTINGS, Taught(), cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_another_order_of_features_or_another_cache_folder(tmp_path: Path) -> None:
    """Feature terms are part of what a run is; where the cache lies is not."""
    taught(tmp_path / "run", features=FEATURES, epochs=1)
    with pytest.raises(InputError, match="is from another run"):
        taught(tmp_path / "run", features=FEATURES[:2], epochs=1)
    made = taught(tmp_path / "cached", cache=tmp_path / "a", epochs=1)
    assert same(made.model, taught(tmp_path / "cached", cache=tmp_path / "b", epochs=1).model)


KILLED = """
import os, signal, sys
from pathlib import Path
import accelerate  # once, for both
import torch
from tests.training import test_teaching as here

torch.set_num_threads(1)  # as the tests do

def kill(step):
    if step.number == 4:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
for name, options in here.kinds(folder).items():
    process = os.fork()
    if process == 0:
        here.taught(folder / name, kill=kill, **options)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
"""


def kinds(folder: Path) -> dict[str, dict[str, Any]]:
    """What a killed run, in addition to the logits, has to take up again."""
    return {"hints": {"features": FEATURES, "augment": crop_and_flip}, "cached": {"cache": folder / "cache"}}


def test_killed_by_a_signal_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=True)
    for name, options in kinds(tmp_path).items():
        steps: list[int] = []
        resumed = taught(tmp_path / name, kill=lambda step: steps.append(step.number), **options)  # noqa: B023
        assert steps == [5, 6] or steps == [4, 5, 6]
        unbroken = taught(**{**options, "cache": None})
        assert same(resumed.model, unbroken.model), name
        assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in unbroken.history]


@pytest.mark.parametrize(("loss", "given"), [("regression", False), ("classification", False), ("regression", True)])
def test_without_an_optimizer_the_task_s_is_taken(loss: str, given: bool) -> None:
    """After a step of Adam every weight moved by its learning rate; with others it depends on the gradient."""
    data = batches([(x, x[:, :10]) for x, _ in learnable(count=1)], name="features", label_kinds="iuf")
    data = data if loss == "regression" else _vectors(count=1)
    settings = Settings(epochs=1, weight_decay=0, scheduler=_constant, optimizer=sgd if given else None)
    student = Narrow()
    trained = teach(student, stack(), data, settings, task_of(loss, 4.0, 0.5))
    moved = trained.model.get_parameter("layers.2.bias") - student.get_parameter("layers.2.bias")
    alike = torch.allclose(moved.abs(), torch.tensor(settings.learning_rate / 10), rtol=0.01)
    assert alike == (loss == "regression" and not given)
