"""One optimizer step over the batches of a window, this process's rows of each."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from edgecompress.data.batches import Batch
from edgecompress.errors import DivergedError
from edgecompress.system.randomness import seed_all
from edgecompress.training.engine import Engine
from edgecompress.training.history import Position
from edgecompress.training.losses import Loss
from edgecompress.training.micro_batches import MicroBatch, share, to_part
from edgecompress.training.settings import Settings
from edgecompress.training.user_calls import run_loss, run_network


def take_step(
    engine: Engine, settings: Settings, loss: Loss, position: Position, window: list[Batch]
) -> tuple[Position, float]:
    """Minimize the mean loss over all samples of the window, over all processes.

    Returns:
        The position after the step, and that mean.

    Raises:
        DataError: labels are missing or out of range; no step was taken.
        DivergedError: the loss or the gradient is not finite; no step was taken.
        ModelError: the network or the loss fails; no step was taken.
    """
    seed_all("step", settings.seed, position.step, engine.rank)
    rows = sum(batch.rows for batch in window)
    names = [f"epoch {position.epoch}, train batch {position.batches + index}" for index in range(len(window))]
    losses = []
    for index, (batch, where) in enumerate(zip(window, names, strict=True)):
        part = to_part(*share(batch, engine.rank, engine.processes), engine.device, settings.channels_last)
        with engine.shared_only_if(index == len(window) - 1):
            losses.append(_backward(engine, settings, loss, part, part.rows / rows, where))
    shares = engine.summed(torch.stack(losses)).tolist()
    _check_finite(engine, settings, shares, names)
    engine.update()
    mean = sum(shares)
    done = replace(
        position,
        step=position.step + 1,
        batches=position.batches + len(window),
        loss_sum=position.loss_sum + mean * rows,
        rows=position.rows + rows,
    )
    return done, mean


def _backward(
    engine: Engine, settings: Settings, loss: Loss, part: MicroBatch, share_of_step: float, where: str
) -> Tensor:
    """Add to the gradients; this part's share of the step's mean loss."""
    with engine.accelerator.autocast():
        if settings.augment is not None:
            part = replace(part, inputs=dict(settings.augment(part.inputs)))
        value = run_loss(loss, run_network(engine.wrapped, part.inputs, where), part, where) * share_of_step
    # Accelerate averages gradients over the processes; the sum is wanted.
    engine.accelerator.backward(value * engine.processes)
    return value.detach().reshape(())


def _check_finite(engine: Engine, settings: Settings, losses: list[float], names: list[str]) -> None:
    """Stop before the step that would spoil the weights, and the next checkpoint with them."""
    fix = f"lower the learning rate ({settings.learning_rate}) or look at the batch; the last checkpoint, if any, stays"
    for value, where in zip(losses, names, strict=True):
        if not math.isfinite(value):
            raise DivergedError(f"{where}: the loss is {value}; {fix}")
    norm = engine.gradient_norm()
    if not math.isfinite(norm):
        raise DivergedError(f"{names[-1]}: the gradient is {norm}; {fix}")
