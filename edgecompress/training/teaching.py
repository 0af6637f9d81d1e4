"""Training of a student: it is checked on a few samples, tapped where feature terms listen, and trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from edgecompress.data.batches import Batch
from edgecompress.errors import DataError, RecipeError
from edgecompress.progress import Progress
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.training.bound_optimizer import add_parameters, copied_together
from edgecompress.training.distillation import DistillationLoss
from edgecompress.training.feature_taps import Tapped, tap
from edgecompress.training.feature_terms import FeatureTerm
from edgecompress.training.history import Trained, TrainingStep
from edgecompress.training.loop import EvaluationData, TrainData, ignore_step, train
from edgecompress.training.losses import Loss
from edgecompress.training.micro_batches import to_part
from edgecompress.training.settings import Settings
from edgecompress.training.tasks import Task
from edgecompress.training.user_calls import try_out

PROBE_ROWS = 8
"""Samples on which student, teacher and loss are tried before the first step."""


def teach(
    student: nn.Module,
    teacher: nn.Module,
    batches: TrainData,
    settings: Settings,
    task: Task,
    *,
    features: Sequence[FeatureTerm] = (),
    cache: Path | None = None,
    evaluation: EvaluationData | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[TrainingStep], None] = ignore_step,
    progress: Progress | None = None,
) -> Trained:
    """Train a copy of a student on what a teacher says; see :func:`edgecompress.training.train`, which does it.

    Args:
        student: not modified.
        teacher: takes the student's inputs; not modified.
        batches: the train data.
        settings: how, by the task's optimizer where they have none; one that is bound to the student trains the
            projections of feature terms too, with its defaults.
        task: what counts on the outputs, and what evaluation data are measured by.
        features: what counts on layers.
        cache: a folder for the teacher's outputs; those of each sample are then computed once.
        evaluation: measured after each epoch.
        checkpoints: a folder from which a run that was killed goes on.
        on_step: called after each step, with the tapped student.
        progress: told of every batch; warned where the cache can save nothing.

    Raises:
        RecipeError: a layer is not there, or cannot be compared with its teacher's; the cache cannot keep the outputs,
            or the optimizer is another network's.
        ModelError: outputs differ in shape, or a network fails.
        DataError: there are no data, or labels are missing where they count. All of these come before the first step,
            those of :func:`~edgecompress.training.train` as it goes.
    """
    if cache is not None and settings.augment is not None and progress is not None:
        progress.warn("augmentation makes new samples: the teacher's cache grows, and saves little")
    first = _first_rows(batches, settings)
    if cache is not None:
        _require_rows_first(first)
    loss = DistillationLoss(teacher, task, features=features, cache=cache)
    copied, optimizer = copied_together(student, settings.optimizer or task.optimizer)
    part = to_part(first, first.rows, device_of(copied), False)
    loss.tapped.to(next(iter(part.inputs.values())).device)
    network = tap(copied, loss.tapped, loss.features, part.inputs, settings.seed)
    try_out(network, loss, part, "the first train batch")
    if isinstance(optimizer, Optimizer):
        add_parameters(optimizer, network.projections)
    trained = train(
        network,
        batches,
        replace(settings, optimizer=optimizer, max_gradient_norm=settings.max_gradient_norm or task.max_gradient_norm),
        loss,
        measure=None if task.measure is None else partial(_of_outputs, task.measure),
        evaluation=evaluation,
        checkpoints=checkpoints,
        on_step=on_step,
        progress=progress,
    )
    assert isinstance(trained.model, Tapped)
    return replace(trained, model=trained.model.network)


def _of_outputs(measure: Loss, outputs: Any, inputs: Mapping[str, Tensor], labels: Tensor | None) -> Tensor:
    """A measure of a tapped student: of its outputs only."""
    return measure(outputs.outputs, inputs, labels)


def device_of(network: nn.Module) -> torch.device:
    """Device of a network's first parameter; the CPU where it has none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def _first_rows(batches: TrainData, settings: Settings) -> Batch:
    with own_randomness():
        seed_all("first", settings.seed)
        batch = next(iter(batches), None)
    if batch is None:
        raise DataError("the train data yields no batches; return at least one")
    return batch.slice(0, PROBE_ROWS)


def _require_rows_first(batch: Batch) -> None:
    """Refuse inputs whose samples the cache could not tell apart."""
    for name, axis in batch.axes.items():
        if axis != 0:
            raise RecipeError(
                "the teacher's cache tells samples apart by the first dimension, which does not hold those of"
                f" {name!r}; leave cache out"
            )
