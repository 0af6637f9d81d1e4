"""Quantization-aware training in a run: a lowering is trained on the labels and on the original's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils import _pytree as pytree

from edgecompress.quantization.aware.fake_quantized import Arrange, FakeQuantized
from edgecompress.quantization.aware.training import TrainedLowering, train_lowering
from edgecompress.quantization.kept_float import BY_RECIPE
from edgecompress.quantization.lowering import Lowering, storing
from edgecompress.recipe.tables import Quantization
from edgecompress.runtime import tensors
from edgecompress.system.randomness import own_randomness, seed_all
from edgecompress.techniques.context import Context
from edgecompress.techniques.fine_tuning import learned_in_recovery, settings_for, task_for
from edgecompress.training import Trained, teach
from edgecompress.training.optimizers import Groups

PROBE_ROWS = 4
"""Samples on which the file has to answer as the network that was trained."""


def train_quantized(lowering: Lowering, context: Context) -> TrainedLowering:
    """Train a lowering as the recipe asks for it.

    Args:
        lowering: not modified.
        context: the training data, the teacher, and where checkpoints go.

    Raises:
        NoFormError: an operator cannot be trained through; it is named before training starts.
        DataError: the training data does not fit.
        DivergedError: the loss or the gradient is not finite.
        EdgecompressError: the file would answer otherwise than the network that was trained.
    """
    probe = context.example.sample(PROBE_ROWS).inputs
    teacher = context.teacher or FakeQuantized(storing(lowering.floats, Quantization(), BY_RECIPE), _alone)

    def teach_network(network: nn.Module) -> nn.Module:
        return _taught(network, teacher, context).model

    with own_randomness():
        seed_all("quantization-aware training", context.recipe.seed)
        return train_lowering(lowering, teach_network, probe, _arranged_as(teacher, context))


def _alone(outputs: Sequence[Tensor]) -> Any:
    """A tuple of outputs, or the only one."""
    return tuple(outputs) if len(outputs) > 1 else outputs[0]


def _taught(network: nn.Module, teacher: nn.Module, context: Context) -> Trained:
    assert context.streams.train is not None
    quantization, recipe = context.recipe.quantization, context.recipe
    settings = replace(
        settings_for(recipe, quantization.training_epochs),
        learning_rate=quantization.training_rate,
        optimizer=_in_grid_steps,
        mixed_precision="no",  # codes of 8 bits are not to be had in bf16
    )
    return teach(
        network,
        teacher,
        context.streams.train,
        settings,
        task_for(learned_in_recovery(recipe), context),
        checkpoints=context.checkpoint("quantizing"),
        progress=context.progress,
    )


def _in_grid_steps(groups: Groups, learning_rate: float) -> Optimizer:
    """AdamW, whose steps are as long whatever the loss: parameters count in steps of their grids."""
    return AdamW(groups, lr=learning_rate)


def _arranged_as(teacher: nn.Module, context: Context) -> Arrange:
    """From the list of a graph's outputs to what the teacher returns, which a loss of the user's own reads."""
    with torch.no_grad():
        outputs = teacher(**tensors(context.example.sample(PROBE_ROWS).inputs))
    leaves, spec = pytree.tree_flatten(outputs)
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        return _alone
    return lambda found: pytree.tree_unflatten(list(found), spec)
