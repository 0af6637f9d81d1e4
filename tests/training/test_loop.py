"""The training loop: what it reaches, what it leaves alone, and how it stops."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from edgecompress.data.batches import Batches
from edgecompress.errors import DataError, DivergedError, EdgecompressError, ModelError
from edgecompress.loading.own_metric import own_measure
from edgecompress.metrics.metric import Measure, named_measure
from edgecompress.modules.named_inputs import input_names
from edgecompress.progress import Progress
from edgecompress.system.randomness import RandomStates
from edgecompress.training import (
    DistillationLoss,
    Settings,
    TrainingStep,
    crop_and_flip,
    cross_entropy,
    mean_squared_error,
    train,
)
from edgecompress.training.loop import time_left
from edgecompress.training.optimizers import Groups
from tests.networks import ConvNet, TwoInputs, images, seeded
from tests.training.batches import batches, learnable, same, shuffled, stack
from tests.training.test_optimizers import Mask

FAST = Settings(epochs=2, learning_rate=0.05)


def constant(optimizer: Optimizer, _steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


def plain(groups: Groups, learning_rate: float) -> Optimizer:
    return torch.optim.SGD(groups, lr=learning_rate)


def _vectors(**options: Any) -> Any:
    return batches(learnable(**options), name="features")


def test_it_learns() -> None:
    trained = train(
        stack(), _vectors(), Settings(epochs=12, learning_rate=0.1), cross_entropy, evaluation=_vectors(seed=1)
    )
    losses = [epoch.loss for epoch in trained.history]
    assert losses[-1] < losses[0] / 3
    assert trained.best.score is not None
    assert trained.best.score.accuracy is not None
    assert trained.best.score.accuracy > 40
    assert all(epoch.samples_per_second > 0 for epoch in trained.history)
    assert not trained.model.training


class Slope(nn.Module):
    """One weight, which begins at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


def _nearness(outputs: Any, targets: Any) -> float:
    return -float(abs(outputs - targets).mean())


ERROR = named_measure("mae")
NEARNESS = replace(own_measure(_nearness, "nearness"), higher_is_better=True)


@pytest.mark.parametrize("measure", [ERROR, NEARNESS])
@pytest.mark.parametrize(("slope", "best", "epochs"), [(0.0, 1, 2), (3.0, 4, 4)])
def test_a_metric_says_which_epoch_was_the_best_and_when_to_stop(
    measure: Measure, slope: float, best: int, epochs: int
) -> None:
    """The weight walks from 1 to the labels' 3: away from targets of slope 0 from the first, and towards those of 3."""
    x = torch.linspace(0.1, 1.0, 16)[:, None]
    settings = Settings(epochs=4, learning_rate=0.05, patience=1, weight_decay=0.0, optimizer=plain, scheduler=constant)
    learned = batches([(x, 3 * x)], "train", "x", label_kinds="iuf")
    measured = batches([(x, slope * x)], "evaluation", "x", label_kinds="iuf", measure=measure)
    trained = train(Slope(), learned, settings, mean_squared_error, evaluation=measured)
    assert (trained.best_epoch, len(trained.history)) == (best, epochs)
    error = abs(float(trained.model.get_parameter("weight").detach()) - slope) * float(x.mean())
    assert trained.best.score is not None
    assert trained.best.score.metric == pytest.approx(error if measure is ERROR else -error, rel=1e-5)


def test_the_steps_are_those_of_a_bare_pytorch_loop() -> None:
    data, network = images(), seeded(ConvNet)
    settings = Settings(
        epochs=2, learning_rate=0.1, weight_decay=0.0, optimizer=plain, scheduler=constant, channels_last=False
    )
    found = train(network, batches(data), settings, cross_entropy).model
    bare = copy.deepcopy(network).train()
    optimizer = torch.optim.SGD(bare.parameters(), lr=0.1)
    for image, labels in [*data, *data]:
        optimizer.zero_grad()
        functional.cross_entropy(bare(image), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, value in bare.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value)


def test_what_was_given_is_not_modified_and_the_callers_randomness_goes_on() -> None:
    network = seeded(ConvNet)
    before = copy.deepcopy(network)
    state = RandomStates.now()
    train(network, shuffled(), FAST, cross_entropy)
    assert same(network, before)
    assert not network.training
    after = RandomStates.now()
    assert torch.equal(after.torch_state, state.torch_state)
    assert after.python_state == state.python_state
    assert (after.numpy_state[1] == state.numpy_state[1]).all()


class Noisy(nn.Module):
    """Draws from all three generators in training."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = seeded(ConvNet)
        self.dropout = nn.Dropout(0.2)

    def forward(self, image: Tensor) -> Tensor:
        noise = float(np.random.rand()) + random.random() if self.training else 0.0
        return self.inner(self.dropout(image) + noise)  # type: ignore[no-any-return]


def test_the_seed_decides_the_weights_whatever_was_drawn_before() -> None:
    network = Noisy()
    results = []
    for seed, drawn in ((0, 0), (0, 3), (1, 0)):
        torch.rand(drawn)
        settings = Settings(epochs=2, seed=seed, augment=crop_and_flip)
        results.append(train(network, shuffled(), settings, cross_entropy).model)
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_every_epoch_has_an_order_of_its_own() -> None:
    seen: list[list[float]] = [[], []]

    def loss(outputs: Tensor, inputs: Mapping[str, Tensor], labels: Tensor | None) -> Tensor:
        step = sum(map(len, seen))
        seen[step // 6].append(round(inputs["image"].sum().item(), 3))
        return outputs.mean()

    train(seeded(ConvNet), shuffled(), FAST, loss)
    assert len(seen[0]) == len(seen[1]) == 6
    assert seen[0] != seen[1]


def test_accumulated_batches_make_the_step_of_the_whole() -> None:
    whole = learnable(rows=24, count=2)
    ragged = [(x[rows], y[rows]) for x, y in whole for rows in (slice(0, 10), slice(10, 20), slice(20, 24))]
    made = train(stack(), batches(whole, name="features"), FAST, cross_entropy)
    settings = Settings(epochs=2, learning_rate=0.05, accumulation=3)
    accumulated = train(stack(), batches(ragged, name="features"), settings, cross_entropy)
    for name, value in made.model.state_dict().items():
        torch.testing.assert_close(accumulated.model.state_dict()[name], value, atol=1e-6, rtol=1e-5)
    assert accumulated.history[1].loss == pytest.approx(made.history[1].loss, rel=1e-5)


def test_a_window_that_is_not_full_is_a_step_too() -> None:
    steps: list[TrainingStep] = []
    settings = Settings(epochs=2, accumulation=3)
    train(stack(), _vectors(count=7), settings, cross_entropy, on_step=steps.append)
    assert [(step.number, step.epoch) for step in steps] == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]


def test_gradients_are_clipped_to_the_norm() -> None:
    settings = Settings(
        epochs=1, learning_rate=1.0, weight_decay=0, max_gradient_norm=0.25, optimizer=plain, scheduler=constant
    )
    trained = train(stack(), _vectors(count=1), settings, cross_entropy).model
    moved = [new - old for new, old in zip(trained.parameters(), stack().parameters(), strict=True)]
    assert nn.utils.get_total_norm([move.detach() for move in moved]).item() == pytest.approx(0.25, rel=1e-4)


def test_any_optimizer_takes_the_groups() -> None:
    def adam(groups: Groups, learning_rate: float) -> Optimizer:
        return AdamW(groups, lr=learning_rate)

    settings = Settings(epochs=5, learning_rate=2e-2, optimizer=adam)
    history = train(stack(), _vectors(), settings, cross_entropy).history
    assert history[-1].loss < history[0].loss / 1.5


def test_masks_of_parametrizations_survive() -> None:
    network = stack()
    layer: Any = network.get_submodule("layers.0")
    mask = (torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    parametrize.register_parametrization(layer, "weight", Mask(mask))
    trained: Any = train(network, _vectors(), FAST, cross_entropy).model.get_submodule("layers.0")
    assert parametrize.is_parametrized(trained, "weight")
    assert (trained.weight[mask == 0] == 0).all()
    assert (trained.weight != layer.weight)[mask == 1].all()


def test_frozen_weights_stay() -> None:
    network = stack()
    first = network.get_parameter("layers.0.weight").requires_grad_(False)
    trained = train(network, _vectors(), FAST, cross_entropy).model
    assert torch.equal(trained.get_parameter("layers.0.weight"), first)
    assert not torch.equal(trained.get_parameter("layers.2.weight"), network.get_parameter("layers.2.weight"))


def _shaken(step: TrainingStep) -> None:
    """Spoils the weights after the second epoch."""
    if step.number > 16:
        with torch.no_grad():
            for parameter in step.model.parameters():
                parameter.mul_(-0.1)


def test_training_stops_early_with_the_best_weights() -> None:
    settings = Settings(epochs=9, learning_rate=0.1, patience=2, scheduler=constant)
    evaluation = batches(learnable(seed=1), "evaluation", "features")
    stopped = train(stack(), _vectors(), settings, cross_entropy, evaluation=evaluation, on_step=_shaken)
    assert stopped.best_epoch == 2
    assert len(stopped.history) == 4
    short = train(stack(), _vectors(), Settings(epochs=2, learning_rate=0.1, scheduler=constant), cross_entropy)
    assert same(stopped.model, short.model)


def test_the_average_of_the_weights_is_handed_back() -> None:
    """The first step's weights, then less and less of each next step's, down to a fifth: statistics too."""
    seen: list[dict[str, torch.Tensor]] = []

    def note(step: TrainingStep) -> None:
        seen.append({name: value.clone() for name, value in step.model.state_dict().items()})

    settings = Settings(epochs=2, average_decay=0.8)
    result = train(seeded(ConvNet), shuffled(), settings, cross_entropy, on_step=note)
    for name, value in result.model.state_dict().items():
        if value.is_floating_point():
            expected = seen[0][name]
            for step, each in enumerate(seen[1:], 1):
                kept = min(0.8, (1 + step) / (10 + step))
                expected = kept * expected + (1 - kept) * each[name]
            torch.testing.assert_close(value, expected, msg=name)


def test_the_average_takes_masks_as_they_are() -> None:
    network = seeded(ConvNet)
    network.register_buffer("mask", torch.ones(4, dtype=torch.bool))

    def narrow(step: TrainingStep) -> None:
        step.model.get_buffer("mask")[: step.number] = False

    result = train(network, shuffled(), Settings(epochs=1, average_decay=0.99), cross_entropy, on_step=narrow)
    assert not result.model.get_buffer("mask")[:3].any()


def test_without_evaluation_the_last_weights_are_kept() -> None:
    trained = train(stack(), _vectors(), Settings(epochs=3, patience=1), cross_entropy)
    assert (trained.best_epoch, len(trained.history)) == (3, 3)
    assert trained.best.score is None


def test_a_regression_keeps_the_weights_of_the_least_loss() -> None:
    vectors = [(x, x[:, :10] * 2) for x, _ in learnable()]
    data = batches(vectors, name="features", label_kinds="iuf")
    trained = train(stack(), data, Settings(epochs=6, learning_rate=0.1), mean_squared_error, evaluation=data)
    assert trained.best.score is not None
    assert trained.best.score.loss is not None
    assert trained.best.score.loss < trained.history[0].loss / 2


def test_several_inputs_and_outputs_by_name() -> None:
    rows = {"features": torch.rand(8, 4), "token": torch.arange(8), "labels": torch.arange(8)}
    data = Batches(role="train", source=lambda: [rows] * 2, inputs=input_names(TwoInputs()))
    trained = train(TwoInputs(), data, Settings(epochs=5), cross_entropy, evaluation=data)
    assert trained.history[-1].loss < trained.history[0].loss
    assert trained.best.score is not None
    assert trained.best.score.accuracy is not None


def test_a_student_comes_to_agree_with_its_teacher() -> None:
    teacher = train(stack(), _vectors(), Settings(epochs=12, learning_rate=0.1), cross_entropy).model
    student = train(
        stack(seed=5), _vectors(), Settings(epochs=12, learning_rate=0.1), DistillationLoss(teacher, alpha=1.0)
    )
    x = learnable()[0][0]
    assert (student.model(x).argmax(1) == teacher(x).argmax(1)).float().mean() > 0.9


class Lines(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items: Any, label: str, counted: str, total: int | None = None, note: Any = str) -> Iterator[Any]:
        for item in items:
            yield item
            self.lines.append(f"{label}: {counted}, {total} in all, {note()}")


def test_progress_is_one_line_with_loss_accuracy_and_rate() -> None:
    progress = Lines()
    evaluation = batches(learnable(count=1), "evaluation", "features")
    train(stack(), _vectors(count=2), FAST, cross_entropy, evaluation=evaluation, progress=progress)
    lines = [line for line in progress.lines if "training, epoch 2 of 2: step, 2 in all, loss " in line]
    assert len(lines) == 2
    assert all("accuracy " in line and " samples/s" in line for line in lines)


def test_from_the_first_step_it_is_told_how_long_all_epochs_still_take() -> None:
    progress = Lines()
    train(stack(), _vectors(count=2), FAST, cross_entropy, progress=progress)
    told = [line.rpartition(" samples/s")[2] for line in progress.lines if line.startswith("training, ")]
    assert len(told) == 4
    assert all(re.fullmatch(r", \d+ s of training left", line) for line in told[:-1])
    assert told[-1] == ""
    assert time_left(10.0, 5, 500) == ", 16 min of training left"


def _data(fault: str) -> Any:
    x, y = learnable(count=1)[0]
    bad = {"range": (x, y + 8), "missing": x, "shape": (x[:, :30], y), "huge": (x * 1e30, y)}[fault]
    return batches([(x, y), (x, y), bad, (x, y)], name="features")


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("range", DataError, "epoch 1, train batch 2: label 1. is out of range; the model gives 10 classes"),
        ("missing", DataError, "epoch 1, train batch 2: there are no labels"),
        ("shape", ModelError, "epoch 1, train batch 2: the network fails: RuntimeError"),
        ("huge", EdgecompressError, "epoch 1, train batch [23]: the (loss|gradient) is (nan|inf); lower the learning"),
    ],
)
def test_a_bad_batch_is_named(fault: str, kind: type[Exception], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=words) as caught:
        train(stack(), _data(fault), FAST, cross_entropy)
    assert len(str(caught.value).splitlines()) == 1


def _loss_at(bad: int, value: float) -> Any:
    calls = iter(range(10**6))

    def loss(outputs: Tensor, inputs: Mapping[str, Tensor], labels: Tensor | None) -> Tensor:
        return outputs.square().mean() * (value if next(calls) == bad else 1.0)

    return loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_at_its_batch_and_keeps_the_last_checkpoint(
    value: float, tmp_path: Path
) -> None:
    settings = Settings(epochs=2, learning_rate=0.01, checkpoint_steps=1)
    with pytest.raises(
        DataError, match=r"epoch 2, train batch 3: the loss is (nan|inf); .*; the last checkpoint, if any, stays"
    ):
        train(stack(), _vectors(), settings, _loss_at(11, value), checkpoints=tmp_path)
    # The same run with a loss that stays finite goes on from there, as one that never failed.
    resumed = train(stack(), _vectors(), settings, _loss_at(-1, 1.0), checkpoints=tmp_path)
    assert same(resumed.model, train(stack(), _vectors(), settings, _loss_at(-1, 1.0)).model)


def test_a_gradient_that_is_not_finite_stops_before_the_step() -> None:
    def loss(outputs: Tensor, inputs: Mapping[str, Tensor], labels: Tensor | None) -> Tensor:
        return (outputs - outputs.detach()).abs().sqrt().sum()

    with pytest.raises(
        DivergedError, match=r"epoch 1, train batch 0: the gradient is nan; lower the learning rate .* stays$"
    ):
        train(stack(), _vectors(), FAST, loss)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda outputs, inputs, labels: outputs, "the loss is no single number; return the mean over the batch"),
        (lambda outputs, inputs: outputs.mean(), "the loss fails: TypeError"),
    ],
)
def test_a_loss_that_cannot_be_used_is_named(loss: Any, words: str) -> None:
    with pytest.raises(ModelError, match=f"epoch 1, train batch 0: {words}"):
        train(stack(), _vectors(), FAST, loss)


def test_empty_data_are_refused() -> None:
    with pytest.raises(DataError, match="the train data yields no batches; return at least one"):
        train(stack(), batches([], name="features"), FAST, cross_entropy)
