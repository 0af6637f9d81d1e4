"""Training as a recipe asks for it: the recovery of a network that lost channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from edgecompress.data import Batch, Batches
from edgecompress.errors import DataError, ModelError
from edgecompress.metrics import Tally, top1
from edgecompress.modes import evaluating
from edgecompress.progress import Progress
from edgecompress.recipe import Recipe
from edgecompress.runtime import execute
from edgecompress.streams import Streams
from edgecompress.training import (
    DistillationLoss,
    Loss,
    Settings,
    Trained,
    crop_and_flip,
    cross_entropy,
    reestimate_batch_norm,
    train,
)
from edgecompress.training.feeding import to_part
from edgecompress.training.running import run_loss, run_network

GRADIENT_BATCHES = 16
"""Batches of training data that first-order importance is added up over."""
STATISTICS_BATCHES = 64
"""Batches that batch-norm statistics are re-estimated from, at most."""


def recover(
    model: nn.Module,
    teacher: nn.Module,
    recipe: Recipe,
    epochs: int,
    streams: Streams,
    checkpoints: Path | None,
    progress: Progress,
) -> nn.Module:
    """A network after what the data allows: training, or else statistics of batch norm estimated anew.

    Args:
        model: not modified.
        teacher: the original, whose outputs the network learns where ``pruning.teacher`` is on.
        recipe: its ``training``, ``pruning.teacher`` and ``distillation``.
        epochs: of training.
        streams: training data, or else calibration data.
        checkpoints: folder that a killed run goes on from.
        progress: told of every batch.
    """
    data = streams.train or streams.calibration
    if data is not None:
        model = reestimate_batch_norm(model, _few(data), progress)
    if streams.train is None or not epochs:
        return model
    return fine_tune(model, teacher, recipe, epochs, streams, checkpoints, progress).model


def fine_tune(
    model: nn.Module,
    teacher: nn.Module,
    recipe: Recipe,
    epochs: int,
    streams: Streams,
    checkpoints: Path | None,
    progress: Progress,
) -> Trained:
    """Train a copy of a network; without ``training.patience`` the evaluation data is not looked at."""
    training = recipe.training
    settings = Settings(
        epochs=epochs,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        average_decay=training.average_decay,
        accumulation=training.accumulation,
        max_gradient_norm=training.max_gradient_norm,
        augment=crop_and_flip if training.augmentation == "crop_and_flip" else None,
        patience=training.patience,
        seed=recipe.seed,
    )
    assert streams.train is not None
    return train(
        model,
        streams.train,
        settings,
        _loss(recipe, teacher),
        evaluation=None if training.patience is None else streams.evaluation,
        checkpoints=checkpoints,
        progress=progress,
    )


def loss_gradients(model: nn.Module, data: Batches | None, progress: Progress) -> Mapping[str, Tensor]:
    """The gradient of the loss by parameter, added up over a few batches, in evaluation mode.

    Raises:
        DataError: there is no training data, or its labels do not fit.
        ModelError: no parameter requires a gradient.
    """
    if data is None:
        raise DataError("importance 'taylor' needs training data; give it (--train), or --set pruning.importance=l2")
    if not any(one.requires_grad for one in model.parameters()):
        raise ModelError("importance 'taylor' needs gradients, and no parameter requires one; unfreeze the model")
    model.zero_grad()
    with evaluating(model):
        batches = progress.track(islice(data, GRADIENT_BATCHES), "importance", GRADIENT_BATCHES)
        for index, batch in enumerate(batches):
            part, where = to_part(batch, batch.rows, torch.device("cpu"), False), f"train batch {index}"
            value = run_loss(cross_entropy, run_network(model, part.inputs, where), part, where)
            value.backward()  # type: ignore[no-untyped-call]
    found = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    return found


def accuracy_percent(model: nn.Module, data: Batches | None, progress: Progress) -> float | None:
    """Top-1 accuracy in percent; None without labelled data."""
    tally = Tally()
    for index, batch in enumerate(progress.track(data or (), "accuracy")):
        if batch.labels is None:
            return None
        tally = tally.merge(top1(execute(model, batch.inputs)[0], batch.labels, f"evaluation batch {index}"))
    return tally.percent


def _loss(recipe: Recipe, teacher: nn.Module) -> Loss:
    if not recipe.pruning.teacher:
        return cross_entropy
    return DistillationLoss(teacher, temperature=recipe.distillation.temperature, alpha=recipe.distillation.alpha)


def _few(data: Batches) -> Iterable[Batch]:
    return islice(data, STATISTICS_BATCHES)
