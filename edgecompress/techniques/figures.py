"""What a network costs and reaches, for the report of a step."""

from __future__ import annotations

from torch import nn

from edgecompress.data.batches import Batches
from edgecompress.metrics.accuracy import Tally, top1
from edgecompress.progress import Progress
from edgecompress.pruning.counts import count
from edgecompress.runtime import execute, tensors
from edgecompress.techniques.context import Context


def costs(name: str, model: nn.Module, context: Context) -> dict[str, float | int | str]:
    """Multiply-accumulates of one call, for as many samples as the recipe exports for, and parameters."""
    counted = count(model, tensors(context.example.sample(context.recipe.export.batch_size or 1).inputs))
    assert counted.macs is not None
    return {f"{name}_macs": counted.macs, f"{name}_parameters": counted.parameters}


def reached(name: str, model: nn.Module, context: Context) -> dict[str, float | int | str]:
    """Top-1 accuracy in percent, where there is labelled evaluation data."""
    accuracy = accuracy_percent(model, context.streams.measured, context.progress)
    return {} if accuracy is None else {f"{name}_accuracy_percent": accuracy}


def accuracy_percent(model: nn.Module, data: Batches | None, progress: Progress) -> float | None:
    """Top-1 accuracy in percent; None without labelled data."""
    tally = Tally()
    for index, batch in enumerate(progress.track(data or (), "accuracy")):
        if batch.labels is None:
            return None
        scores, where = execute(model, batch.inputs)[0], f"evaluation batch {index}"
        tally = tally.merge(top1(scores, batch.labels, where, batch.class_axis))
    return tally.percent
