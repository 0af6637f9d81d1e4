"""What a network costs and reaches, for the report of a step."""

from __future__ import annotations

from torch import nn

from edgecompress.data.batches import Batches
from edgecompress.exporters.output_names import named_outputs
from edgecompress.metrics.metric import DEFAULT
from edgecompress.metrics.running import Running
from edgecompress.progress import Progress
from edgecompress.pruning.counts import count
from edgecompress.runtime import tensors
from edgecompress.techniques.context import Context


def costs(name: str, model: nn.Module, context: Context) -> dict[str, float | int | str]:
    """Multiply-accumulates of one call, for as many samples as the recipe exports for, and parameters."""
    counted = count(model, tensors(context.example.sample(context.recipe.export.batch_size or 1).inputs))
    assert counted.macs is not None
    return {f"{name}_macs": counted.macs, f"{name}_parameters": counted.parameters}


def reached(name: str, model: nn.Module, context: Context) -> dict[str, float | int | str]:
    """The metric of the run, where there is labelled evaluation data: top-1 accuracy in percent by default."""
    data = context.streams.measured
    value = None if data is None else measured_value(model, data, context.progress)
    if data is None or value is None:
        return {}
    return {f"{name}_{'accuracy_percent' if data.measure.name == DEFAULT else 'metric'}": value}


def measured_value(model: nn.Module, data: Batches, progress: Progress) -> float | None:
    """What a network reaches by the metric of the data; None where these have no targets.

    Raises:
        DataError: the targets do not fit the outputs.
        RecipeError: the metric fails.
    """
    running = Running(data.measure)
    for index, batch in enumerate(progress.track(data, "evaluating", "batch")):
        if batch.labels is None:
            return None
        outputs = named_outputs(model, batch.inputs)
        where = f"evaluation batch {index}"
        running.update([*outputs.values()], batch.labels, where, batch.class_axis, [*outputs])
    return running.value
