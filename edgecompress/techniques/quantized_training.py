"""Quantization-aware training in a run: a lowering is trained on the labels and on the original's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils import _pytree as pytree

from edgecompress.quantization.aware.training import TrainedLowering, train_lowering
from edgecompress.quantization.lowering import Lowering
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
        ModelError: an operator has no form that can be trained; it is named before training starts.
        DataError: the training data does not fit, or the loss is not finite.
        EdgecompressError: the file would answer otherwise than the network that was trained.
    """
    probe = context.example.sample(PROBE_ROWS).inputs

    def teach_network(network: nn.Module) -> nn.Module:
        return _taught(network, context).model

    with own_randomness():
        seed_all("quantization-aware training", context.recipe.seed)
        return train_lowering(lowering, teach_network, probe, _arranged(context))


def _taught(network: nn.Module, context: Context) -> Trained:
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
        context.teaching,
        context.streams.train,
        settings,
        task_for(learned_in_recovery(recipe), context),
        checkpoints=context.checkpoint("quantizing"),
        progress=context.progress,
    )


def _in_grid_steps(groups: Groups, learning_rate: float) -> Optimizer:
    """AdamW, whose steps are as long whatever the loss: parameters count in steps of their grids."""
    return AdamW(groups, lr=learning_rate)


def _arranged(context: Context) -> Callable[[Sequence[Tensor]], Any]:
    """From the list of a graph's outputs to what the teacher returns, which a loss of the user's own reads."""
    with torch.no_grad():
        outputs = context.teaching(**tensors(context.example.sample(1).inputs))
    leaves, spec = pytree.tree_flatten(outputs)
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        return tuple
    return lambda found: pytree.tree_unflatten(list(found), spec)
