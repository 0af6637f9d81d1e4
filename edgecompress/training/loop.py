"""The training loop, on one CPU, on GPUs, or in several processes, as Accelerate finds them.

Every process reads the same batches and takes its rows of each, so that any number of processes takes the same steps.
Batch norm is the exception on CPUs: each process normalizes its own rows, and the statistics are the first one's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.errors import DataError
from edgecompress.metrics.metric import Measure
from edgecompress.modules.copies import copied
from edgecompress.progress import Progress
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.training.checkpoint import Checkpoints, fingerprint
from edgecompress.training.engine import Engine
from edgecompress.training.evaluation import evaluate
from edgecompress.training.history import Epoch, Position, Trained, TrainingStep
from edgecompress.training.losses import Loss
from edgecompress.training.micro_batches import windows
from edgecompress.training.optimizer_step import take_step
from edgecompress.training.settings import Settings
from edgecompress.units import duration


class TrainData(Protocol):
    """Batches that can be read once for each epoch; :class:`edgecompress.data.batches.Batches` is one."""

    def __iter__(self) -> Iterator[Batch]:
        """Batches of a new epoch, from the first one, in any order."""

    def count(self) -> int:
        """Number of batches."""


class EvaluationData(TrainData, Protocol):
    """The same, and what networks are measured by on it."""

    @property
    def measure(self) -> Measure:
        """The metric."""


def ignore_step(step: TrainingStep) -> None:
    """What follows a step by default."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What stays the same from the first step to the last."""

    engine: Engine
    settings: Settings
    loss: Loss
    measure: Loss
    batches: TrainData
    count: int
    evaluation: EvaluationData | None
    checkpoints: Checkpoints | None
    on_step: Callable[[TrainingStep], None]
    progress: Progress


def train(
    network: nn.Module,
    batches: TrainData,
    settings: Settings,
    loss: Loss,
    *,
    measure: Loss | None = None,
    evaluation: EvaluationData | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[TrainingStep], None] = ignore_step,
    progress: Progress | None = None,
) -> Trained:
    """Train a copy of a network; the same seed gives the same weights, whether the run was killed in between or not.

    The order of the data comes from the seed where they draw it from PyTorch's, NumPy's or Python's global
    generator, as a ``DataLoader`` with ``shuffle=True`` does; a generator of their own is theirs to seed anew for each
    pass. The caller's generators are left as they were. Another machine or another number of threads adds numbers up in
    another order: there weights agree to rounding, not to the bit.

    Args:
        network: not modified. Parametrizations, such as masks, are kept; parameters without a gradient stay frozen.
        batches: the train data, read once for each epoch.
        settings: how.
        loss: called with the outputs, the inputs by name, and the labels.
        measure: what the evaluation data are measured by where they have no classes; by default the loss.
        evaluation: measured after each epoch, by its own metric where that is not accuracy; the weights of the best
            epoch are kept.
        checkpoints: a folder from which a run that was killed goes on; the first process writes it.
        on_step: called after each optimizer step.
        progress: told of every batch.

    Raises:
        DataError: there are no data, or labels are missing or out of range.
        DivergedError: the loss or the gradient is not finite: the batch is named, and the last checkpoint stays.
        ModelError: nothing can be trained, or the network or the loss fails.
        OutputError: the checkpoint folder holds other things, is from another run, or cannot be written.
        RecipeError: Accelerate cannot run as the settings want, or the optimizer is another network's.
    """
    with own_randomness():
        seed_all("start", settings.seed)
        count = batches.count()
        if not count:
            raise DataError("the train data yields no batches; return at least one")
        engine = Engine.start(network, settings, settings.epochs * math.ceil(count / settings.accumulation))
        decided_by = (loss, measure, *_metric(evaluation))
        run = _Run(
            engine=engine,
            settings=settings,
            loss=loss,
            measure=measure or loss,
            batches=batches,
            count=count,
            evaluation=evaluation,
            checkpoints=_open_checkpoints(checkpoints, engine, network, settings, decided_by, count),
            on_step=on_step,
            progress=progress or Progress(),
        )
        position, best = _carry_out(run)
    return Trained(model=_with_weights(network, best), history=position.history, best_epoch=position.best_epoch)


def _metric(evaluation: EvaluationData | None) -> tuple[str, ...]:
    """The metric that epochs are chosen by, where it is not accuracy."""
    return () if evaluation is None or evaluation.measure.is_top1 else evaluation.measure.code


def _open_checkpoints(
    folder: Path | None,
    engine: Engine,
    network: nn.Module,
    settings: Settings,
    decided_by: tuple[Loss | str | None, ...],
    count: int,
) -> Checkpoints | None:
    if folder is None or engine.rank:
        return None
    # How often checkpoints are written does not change the weights.
    fixed = replace(settings, checkpoint_steps=None, checkpoint_seconds=0.0)
    run = fingerprint(network, fixed, decided_by, count)
    return Checkpoints(folder, run, settings.checkpoint_steps, settings.checkpoint_seconds)


def _carry_out(run: _Run) -> tuple[Position, dict[str, Tensor]]:
    """The epochs that are left, and the best weights of all."""
    position, best = Position(), {}
    state = run.engine.agreed(run.checkpoints.load() if run.checkpoints else None)
    if state is not None:
        run.engine.restore(state["engine"])
        position, best = Position.from_state(state["position"]), state["best"]
    while not position.finished(run.settings.epochs, run.settings.patience if run.evaluation is not None else None):
        position = _run_epoch(run, position, best)
        if position.best_epoch == len(position.history):
            best = run.engine.weights()
        _save(run, position, best)
    return position, best


def _run_epoch(run: _Run, position: Position, best: dict[str, Tensor]) -> Position:
    """The rest of an epoch, and its evaluation."""
    settings, start, skipped_rows = run.settings, time.perf_counter(), position.rows
    rate, first = 0.0, position.step
    steps = math.ceil((run.count - position.batches) / settings.accumulation)
    every = steps + (settings.epochs - position.epoch) * math.ceil(run.count / settings.accumulation)

    def note() -> str:
        score = f", {position.best.in_words}" if position.best and position.best.in_words else ""
        left = time_left(time.perf_counter() - start, position.step - first, every)
        return f"loss {position.loss:.4f}{score}, {rate:.0f} samples/s{left}"

    label = f"training, epoch {position.epoch} of {settings.epochs}"
    stream = windows(run.batches, settings.accumulation, position.batches, settings.seed, position.epoch)
    for window in run.progress.track(stream, label, "step", steps, note):
        position, loss = take_step(run.engine, settings, run.loss, position, window)
        run.on_step(TrainingStep(number=position.step, epoch=position.epoch, loss=loss, model=run.engine.module))
        rate = (position.rows - skipped_rows) / (time.perf_counter() - start)
        if run.checkpoints is not None and run.checkpoints.due(position.step):
            _save(run, position, best)
    if not position.rows:
        raise DataError(f"the train data yields no batches in epoch {position.epoch}; return the same number each time")
    run.engine.share_buffers()
    return _close_epoch(run, position, rate)


def time_left(seconds: float, taken: int, steps: int) -> str:
    """How long the steps of all epochs still take, at most, told behind a comma; evaluations come on top.

    Args:
        seconds: that the steps took that were taken.
        taken: how many.
        steps: these and all that follow.

    >>> time_left(60.0, 10, 40), time_left(60.0, 40, 40), time_left(0.0, 0, 40)
    (', 3 min of training left', '', '')
    """
    if not 0 < taken < steps:
        return ""
    return f", {duration(seconds / taken * (steps - taken))} of training left"


def _close_epoch(run: _Run, position: Position, rate: float) -> Position:
    score = None
    if run.evaluation is not None:
        # The processes take turns at its batches: where it draws its order, all have to draw the same.
        seed_all("evaluation", run.settings.seed, position.epoch)
        tracked = run.progress.track(
            run.evaluation, f"evaluating, epoch {position.epoch} of {run.settings.epochs}", "batch"
        )
        score = evaluate(run.engine, tracked, run.measure, run.settings.channels_last, run.evaluation.measure)
    epoch = Epoch(number=position.epoch, loss=position.loss, score=score, samples_per_second=rate)
    better = score is None or score.better_than(position.best)
    return Position(
        step=position.step,
        history=(*position.history, epoch),
        best_epoch=epoch.number if better else position.best_epoch,
    )


def _save(run: _Run, position: Position, best: dict[str, Tensor]) -> None:
    if run.checkpoints is None:
        return
    state: dict[str, Any] = {"engine": run.engine.to_state(), "position": position.to_state(), "best": best}
    run.checkpoints.save(state, position.step)


def _with_weights(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    model = copied(network)
    model.load_state_dict(weights)
    return model.eval()
