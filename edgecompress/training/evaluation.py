"""A network's score on evaluation data, shared out over the processes batch by batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.errors import DataError
from edgecompress.exporters.output_names import names_of_tensors
from edgecompress.metrics.accuracy import top1
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.running import Running
from edgecompress.modules.modes import evaluating
from edgecompress.training.engine import Engine
from edgecompress.training.feature_taps import TappedOutputs
from edgecompress.training.history import Score
from edgecompress.training.losses import Loss
from edgecompress.training.micro_batches import MicroBatch, to_part
from edgecompress.training.readings import first_output
from edgecompress.training.user_calls import run_loss, run_network

NO_SAMPLES = "the evaluation data yields no labelled samples; return at least one batch"
HALVES = (torch.float16, torch.bfloat16)


def evaluate(
    engine: Engine, batches: Iterable[Batch], loss: Loss, channels_last: bool, measure: Measure | None = None
) -> Score:
    """Top-1 accuracy where the labels are classes of the first output, the mean loss elsewhere; or another metric.

    Accuracy and loss add up over the processes. Nothing is known of another metric: each process takes all batches.

    Raises:
        DataError: there are no batches or no labels, or a label is out of range.
        ModelError: the network or the loss fails.
        RecipeError: the metric fails.
    """
    if measure is not None and not measure.is_top1:
        return cast("Score", engine.agreed(_measured(engine, batches, measure, channels_last)))
    own = (pair for pair in enumerate(batches) if pair[0] % engine.processes == engine.rank)
    with engine.accelerator.autocast():
        total = _total(engine.result, own, loss, engine.device, channels_last)
    return _score(engine.summed(total))


def score(network: nn.Module, batches: Iterable[Batch], loss: Loss, device: torch.device) -> Score:
    """The same of a network that is not trained, in this process only.

    Args:
        network: on ``device``; every part keeps its mode.
        batches: with labels.
        loss: what counts where there are no classes.
        device: where the batches go.
    """
    return _score(_total(network, enumerate(batches), loss, device, False))


def _total(
    network: nn.Module, batches: Iterable[tuple[int, Batch]], loss: Loss, device: torch.device, channels_last: bool
) -> Tensor:
    """Right answers and counted ones; sum of the loss and its rows."""
    total = torch.zeros(4, dtype=torch.float64)
    with evaluating(network), torch.inference_mode():
        for index, batch in batches:
            where = f"evaluation batch {index}"
            _labels(batch, where)
            part = to_part(batch, batch.rows, device, channels_last)
            total += _measure(network, part, batch, loss, where)
    return total


def _measured(engine: Engine, batches: Iterable[Batch], measure: Measure, channels_last: bool) -> Score:
    """The value of a metric, in this process only; the metric itself computes in the precision of its own."""
    network, device, running = engine.result, engine.device, Running(measure)
    with evaluating(network), torch.inference_mode():
        for index, batch in enumerate(batches):
            where = f"evaluation batch {index}"
            targets = _labels(batch, where)
            part = to_part(replace(batch, labels=None), batch.rows, device, channels_last)
            with engine.accelerator.autocast():
                outputs = run_network(network, part.inputs, where)
            outputs = outputs.outputs if isinstance(outputs, TappedOutputs) else outputs
            names = names_of_tensors(outputs, batch.inputs)
            running.update(_arrays(outputs), targets, where, batch.class_axis, names)
    if (value := running.value) is None:
        raise DataError(NO_SAMPLES)
    return Score(metric=value, wants_more=measure.wants_more)


def _arrays(outputs: Any) -> list[Array]:
    """A network's own outputs in their order, half precision as float32."""
    tensors = (leaf for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, Tensor))
    return [(leaf.float() if leaf.dtype in HALVES else leaf).cpu().numpy() for leaf in tensors]


def _labels(batch: Batch, where: str) -> Any:
    if batch.labels is None:
        raise DataError(f"{where} has no labels; return (inputs, labels)")
    return batch.labels


def _measure(network: nn.Module, part: MicroBatch, batch: Batch, loss: Loss, where: str) -> Tensor:
    outputs = run_network(network, part.inputs, where)
    scores = first_output(outputs)
    if batch.labels is not None and _are_classes(part, scores):
        tally = top1(scores.float().cpu().numpy(), batch.labels, where, batch.class_axis)
        return torch.tensor([tally.right, tally.total, 0, 0])
    value: Any = run_loss(loss, outputs, part, where)
    return torch.tensor([0, 0, float(value) * part.rows, part.rows])


def _are_classes(part: MicroBatch, scores: Tensor) -> bool:
    labels = part.labels
    return isinstance(labels, Tensor) and not labels.is_floating_point() and labels.ndim == scores.ndim - 1


def _score(total: Tensor) -> Score:
    right, counted, loss_sum, rows = total.tolist()
    if not counted and not rows:
        raise DataError(NO_SAMPLES)
    return Score(accuracy=100 * right / counted) if counted else Score(loss=loss_sum / rows)
