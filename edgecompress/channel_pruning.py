"""The step that prunes channels: cut, re-estimate, train, as often as the schedule says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgecompress.capture import capture
from edgecompress.data import Batch, Batches
from edgecompress.errors import RecipeError
from edgecompress.exporters.onnx import to_onnx
from edgecompress.progress import Progress
from edgecompress.pruning.costs import count_macs, count_parameters
from edgecompress.pruning.request import Request, Selection, select
from edgecompress.pruning.structure.groups import as_flags
from edgecompress.pruning.structured import Subject, cut_out, examine
from edgecompress.recipe import Recipe
from edgecompress.runtime import open_session, run_session, tensors
from edgecompress.step import Refusal, StepResult
from edgecompress.training import SCHEDULES, reestimate_batch_norm
from edgecompress.tuning import Recovery, fine_tune, loss_gradients
from edgecompress.validation.latency import interleave

LATENCY_RUNS = 20
LATENCY_ROUNDS = 3
"""How often a latency goal is tried again at a smaller prediction, where the measured latency misses it."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A network after one step of the schedule."""

    model: nn.Module
    refusals: tuple[Refusal, ...]


def prune_channels(
    module: nn.Module, recipe: Recipe, example: Batch, recovery: Recovery, progress: Progress
) -> StepResult[nn.Module]:
    """Prune a network and let it recover.

    Args:
        module: not modified; taken in evaluation mode.
        recipe: its ``pruning``, ``training`` and ``distillation``.
        example: a batch that the network runs on.
        recovery: the data to recover on, and where checkpoints go.
        progress: told of every step.

    Raises:
        ModelError: the network cannot be captured.
        RecipeError: nothing can be pruned, the goal cannot be met, or the recipe needs data that are not there.
        DataError: the training data do not fit.
    """
    pruning = recipe.pruning
    amounts = SCHEDULES[pruning.schedule](pruning.amount, pruning.steps)
    inputs = tensors(example.sample(recipe.export.batch_size or 1).inputs)
    before = examine(module, (), inputs)
    model, refusals, done = module, before.refusals, 0.0
    for number, amount in enumerate(dict.fromkeys(amounts)):
        share = 1 - (1 - amount) / (1 - done)
        cut = _cut(model, recipe, replace_amount(recipe, share), inputs, example, recovery, progress)
        model = _recover(cut.model, module, recipe, recovery, number, len(dict.fromkeys(amounts)), progress)
        refusals, done = cut.refusals, amount
    after = examine(model, (), inputs)
    return StepResult(
        model=model, changes=_changes(module, model), refusals=refusals, metrics=_metrics(before, after)
    )
