"""What is found out before the first step: data that are missing or do not fit, and where the classes lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.arrays import Array
from edgecompress.axes.classes import settle_streams
from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.errors import USER_CODE_FAILS, DataError, ModelError, first_line, plural
from edgecompress.exporters.output_names import named_outputs
from edgecompress.loading.losses import open_loss
from edgecompress.metrics.accuracy import require_class_axis
from edgecompress.metrics.running import Running
from edgecompress.modules.capture import check_runs
from edgecompress.modules.plain import plain_copy
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, execute, network_rows
from edgecompress.techniques.context import Context
from edgecompress.techniques.fine_tuning import learned_by, task_for
from edgecompress.training import Task
from edgecompress.training.micro_batches import to_part
from edgecompress.training.user_calls import try_out


def prepare(network: Network, context: Context) -> tuple[Network, Context]:
    """A network that is ready to run, and what is known of it and of the data.

    Args:
        network: not modified; a module is copied in evaluation mode.
        context: as the user gave it.

    Raises:
        ModelError: the network cannot be run.
        DataError: data that the recipe needs is missing, or does not fit.
    """
    recipe, streams = context.recipe, context.streams
    require_data(recipe, streams)
    if isinstance(network, nn.Module):
        network = plain_copy(network).model.eval()
    check_runs(network, context.example, streams.calibration)
    if isinstance(network, nn.Module):
        require_fitting(network, streams, trains=recipe.trains)
    context = replace(context, streams=_settled(network, context), original=network)
    if isinstance(network, nn.Module):
        require_loss(network, context)
    if not recipe.trains or not isinstance(network, nn.Module):
        return network, context
    teacher = network if context.teacher is None else plain_copy(context.teacher).model.eval()
    if teacher is not network:
        require_alike(teacher, network, context)
    return network, replace(context, teacher=teacher)


def sample_rows(network: Network, recipe: Recipe) -> int | None:
    """The number of samples that the recipe or the network fixes; None where it is free."""
    return recipe.export.batch_size or network_rows(network, recipe.export.batch_axes)


def require_data(recipe: Recipe, streams: Streams) -> None:
    """Require the data that techniques cannot do without.

    Raises:
        DataError: they are missing.
    """
    if "quantization" in recipe.techniques and streams.calibration is None:
        raise DataError("static quantization needs calibration data; give calibration (--calibration)")
    if "distillation" in recipe.techniques and streams.train is None:
        raise DataError("distillation needs training data; give train (--train)")
    if "quantization" in recipe.techniques and recipe.quantization.training == "always" and streams.train is None:
        raise DataError(
            "quantization.training=always needs training data; give train (--train), or set quantization.training=never"
        )


def require_fitting(network: nn.Module, streams: Streams, *, trains: bool) -> None:
    """Find what does not fit before anything that takes long: inputs, and labels that cannot be measured by.

    Raises:
        DataError: the first batch that is evaluated, or trained on, does not fit.
        RecipeError: the metric fails.
    """
    measured, train = streams.measured, streams.train if trains else None
    for batches in filter(None, (measured, train)):
        batch = batches.first()
        outputs = _answers(network, batch, f"{batches.role} batch 0")
        if batches is measured and batch.labels is not None:
            running = Running(batches.measure)
            where = f"{batches.role} batch 0"
            running.update([*outputs.values()], batch.labels, where, batch.class_axis, [*outputs])
            running.require_one_number()


def require_loss(network: nn.Module, context: Context) -> None:
    """Try what training would begin with on the first batch, before anything that takes long.

    Raises:
        DataError: labels are missing, or do not fit.
        ModelError: the loss fails.
        RecipeError: there is no such loss, it cannot be learned by, or a weight is of no output.
    """
    recipe, train = context.recipe, context.streams.train
    if not recipe.trains:
        return
    open_loss(recipe.training, context.loss)
    if train is None:
        return
    for learned in learned_by(recipe):
        task, batch = task_for(learned, context), train.first()
        part = to_part(batch, batch.rows, torch.device("cpu"), channels_last=False)
        loss = partial(_against_itself, task)
        try_out(network, loss, part, "the first train batch")


def _against_itself(task: Task, outputs: Any, _inputs: Mapping[str, Tensor], labels: Any, /) -> Tensor:
    """What a network loses that answers as its teacher does."""
    return task(outputs, outputs, labels)


def _answers(network: nn.Module, batch: Batch, where: str) -> dict[str, Array]:
    try:
        return named_outputs(network, batch.inputs)
    except USER_CODE_FAILS as error:
        raise DataError(
            f"{where} does not fit the model: {first_line(error)}; give inputs as its forward takes them"
        ) from error


def _settled(network: Network, context: Context) -> Streams:
    """The data, with the axis of the scores that their labels lack."""
    recipe, streams = context.recipe, context.streams
    asked = recipe.evaluation.class_axis
    if asked is not None:
        require_class_axis(asked, execute(network, context.example.inputs)[0].shape)
    read = streams if recipe.trains else replace(streams, train=None)
    axis = settle_streams(network, read, asked, context.progress).class_axis
    if recipe.data.classes and axis is not None:
        _compare_names(recipe.data.classes, execute(network, context.example.inputs)[0].shape[axis], context.progress)
    return streams.with_class_axis(axis)


def _compare_names(names: Sequence[str], classes: int, progress: Progress) -> None:
    """Warn where not all classes have names: labels that are names may then have the numbers of other classes."""
    if classes not in (1, len(names)):
        progress.warn(
            f"the classes have {plural(len(names), 'name')}, and the network scores {plural(classes, 'class')}; labels"
            f" are numbered in the order of the names: name all {classes:,} in the network's order (data.classes)"
        )


def require_alike(teacher: nn.Module, student: nn.Module, context: Context) -> None:
    """Require that what a student learns, and is held against, are outputs of the same shapes.

    Raises:
        ModelError: the teacher does not run, or its outputs have other shapes.
    """
    inputs = context.example.sample(sample_rows(student, context.recipe) or 1).inputs
    try:
        taught = [array.shape for array in execute(teacher, inputs)]
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"the teacher cannot run on the first batch: {first_line(error)}; give one that takes the model's inputs"
        ) from error
    own = [array.shape for array in execute(student, inputs)]
    if taught != own:
        shapes = (" and ".join(str(tuple(shape)) for shape in found) for found in (own, taught))
        raise ModelError("the model gives {}, its teacher {}; give a teacher with the same outputs".format(*shapes))
