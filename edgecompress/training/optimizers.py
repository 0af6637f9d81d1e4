"""Optimizers, and the parameters that weight decay spares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import SGD, AdamW, Optimizer

from edgecompress.errors import ModelError

Groups = list[dict[str, Any]]
OptimizerFactory = Callable[[Groups, float], Optimizer]
"""Parameter groups, each with its ``weight_decay``, and the learning rate, to an optimizer."""

ADAPTIVE_SHARE = 0.1
"""The learning rate of :func:`adaptive` as a share of that of :func:`sgd`."""
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def sgd(groups: Groups, learning_rate: float) -> Optimizer:
    """Stochastic gradient descent with a Nesterov momentum of 0.9."""
    return SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)


def adaptive(groups: Groups, learning_rate: float) -> Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) at a tenth of the learning rate, which is that of SGD.

    Its steps are as long whatever the loss is multiplied by: for losses that may be of any steepness.
    """
    return AdamW(groups, lr=ADAPTIVE_SHARE * learning_rate)


def parameter_groups(network: nn.Module, weight_decay: float) -> Groups:
    """The parameters that are trained: those that decay, and the norms' and the vectors (biases), which do not.

    Raises:
        ModelError: no parameter requires a gradient.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not trained:
        raise ModelError(f"{type(network).__name__} has no parameter to train; set requires_grad on some")
    spared = {id(p) for part in network.modules() if isinstance(part, NORMS) for p in part.parameters()}
    decays = [p.ndim > 1 and id(p) not in spared for p in trained]
    groups = [
        {"params": [p for p, decay in zip(trained, decays, strict=True) if decay], "weight_decay": weight_decay},
        {"params": [p for p, decay in zip(trained, decays, strict=True) if not decay], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
