"""Importance: what the network is thought to lose with a unit, by a criterion of the literature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from edgecompress.pruning.channels.structured import Subject

Criterion = Literal["l1", "l2", "taylor", "bn_scale", "random"]
Side = Literal["filter", "channel", "both"]
"""Which weights are looked at: those that make a channel, those that read it, or all of them."""

Scores = Mapping[int, float]
"""The importance of every unit; figures of different groups can be compared."""


def score(
    subject: Subject,
    criterion: Criterion,
    *,
    side: Side = "both",
    gradients: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Scores:
    """The importance of every unit of a network.

    Args:
        subject: the network and its groups.
        criterion: ``l1`` or ``l2``, the norm of a unit's weights (Li et al. 2017); ``taylor``, the change of the
            loss to first order, |sum of weight * gradient| (Molchanov et al. 2019); ``bn_scale``, the scale of the
            batch norms behind the channel (Liu et al. 2017), with ``l2`` for groups that have none; ``random``.
            Norms and scales are taken relative to the mean of their tensor, so that layers can be compared.
        side: the weights that count.
        gradients: of the loss, by parameter; needed for ``taylor``.
        seed: of ``random``.
    """
    if criterion == "random":
        generator = torch.Generator().manual_seed(seed)
        units = [unit for group in subject.groups for unit in group.units]
        return dict(zip(units, torch.rand(len(units), generator=generator).tolist(), strict=True))
    tensors = _weights(subject.module)
    measures: dict[str, Callable[[str], Tensor | None]] = {
        "l1": lambda name: tensors[name].detach().abs(),
        "l2": lambda name: tensors[name].detach().square(),
        "taylor": lambda name: tensors[name].detach() * (gradients or {})[name] if name in (gradients or {}) else None,
        "bn_scale": lambda name: tensors[name].detach().square(),
    }
    scales = _batch_norm_scales(subject.module)
    scores: dict[int, float] = {}
    for group in subject.groups:
        members = [member for member in group.members if member[0] in tensors and _counts(subject, member, side)]
        if criterion == "bn_scale":
            members = [member for member in group.members if member[0] in scales] or members
        parts = [_per_class(subject, member, measures[criterion](member[0])) for member in members]
        found = [_finish(part[list(group.units)], criterion) for part in parts if part is not None]
        total = torch.stack(found).mean(0) if found else torch.ones(len(group.units))
        scores.update(zip(group.units, total.tolist(), strict=True))
    return scores


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """The parameters by name; of a masked one, what the layer computes with."""
    found: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        owner, parametrized, rest = name.partition(".parametrizations.")
        own = rest.partition(".")[0]
        found[name] = getattr(module.get_submodule(owner), own) if parametrized else parameter
    return found


def _finish(sums: Tensor, criterion: Criterion) -> Tensor:
    if criterion == "taylor":
        return sums.abs()
    norms = sums.sqrt() if criterion in ("l2", "bn_scale") else sums
    return norms / norms.mean().clamp_min(torch.finfo(norms.dtype).tiny)


def _per_class(subject: Subject, member: tuple[str, int], measure: Tensor | None) -> Tensor | None:
    """The sum of a measure over the elements of each class along an axis: float64, (classes,)."""
    if measure is None:
        return None
    name, axis = member
    along = measure.double().movedim(axis, 0).reshape(measure.shape[axis], -1).sum(1).cpu()
    total = torch.zeros(subject.structure.classes, dtype=torch.float64)
    for at, classes in subject.structure.tensors[name].axes:
        if at == axis:
            total.index_add_(0, classes, along)
    return total


def _counts(subject: Subject, member: tuple[str, int], side: Side) -> bool:
    """Whether these weights are of the side that is asked for; biases and norms are of neither."""
    name, axis = member
    if len(subject.structure.tensors[name].shape) < 2:
        return False
    path, _, _ = name.partition(".parametrizations.")
    owner = subject.module.get_submodule(path if path != name else name.rpartition(".")[0])
    made = 1 if getattr(owner, "transposed", False) else 0
    return side == "both" or (axis == made) == (side == "filter")


def _batch_norm_scales(module: nn.Module) -> set[str]:
    batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return {f"{path}.weight" for path, part in module.named_modules() if isinstance(part, batch_norms) and part.affine}
