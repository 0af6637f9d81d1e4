"""Gradients of the loss on labels: what first-order importance reads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor, nn

from edgecompress.errors import DataError, ModelError
from edgecompress.modules.modes import evaluating
from edgecompress.recipe.tables import Distillation
from edgecompress.techniques.context import Context
from edgecompress.techniques.fine_tuning import task_for
from edgecompress.training.micro_batches import to_part
from edgecompress.training.user_calls import run_loss, run_network

GRADIENT_BATCHES = 16
"""Batches of training data that the gradients are added up over."""


def loss_gradients(model: nn.Module, context: Context, criterion: str) -> Mapping[str, Tensor]:
    """The gradient of the loss by parameter, on the labels of a few batches added up, in evaluation mode.

    Args:
        model: not modified.
        context: its data.
        criterion: what needs the gradients, in messages.

    Raises:
        DataError: there is no training data, or its labels do not fit.
        ModelError: no parameter requires a gradient.
    """
    data = context.streams.train
    if data is None:
        raise DataError(f"{criterion} needs training data; give it (--train), or set pruning.importance=l2")
    task = task_for(Distillation(alpha=0), context)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(f"{criterion} needs gradients, and no parameter requires one; unfreeze the model")
    model.zero_grad()
    with evaluating(model):
        batches = context.progress.track(
            islice(data, GRADIENT_BATCHES), "measuring gradients", "batch", GRADIENT_BATCHES
        )
        for index, batch in enumerate(batches):
            part, where = to_part(batch, batch.rows, torch.device("cpu"), False), f"train batch {index}"
            outputs = run_network(model, part.inputs, where)
            value = run_loss(lambda own, _, labels: task(own, None, labels), outputs, part, where)
            value.backward()  # type: ignore[no-untyped-call]
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad()
    return found
