"""Importance: what the network is thought to lose with a unit, by a criterion of the literature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.structured import Subject
from edgecompress.pruning.criterion import Criterion, Side, UnitGroup, UnitWeights
from edgecompress.pruning.structure.groups import Group, Member
from edgecompress.registry import CRITERIA, NamedFunction, choose

Sides = Literal["filter", "channel", "both"]
"""Which weights are looked at: those that make a channel, those that read it, or all of them."""

Scores = Mapping[int, float]
"""The importance of every unit; figures of different groups can be compared."""


def score(
    subject: Subject,
    criterion: str | Criterion,
    *,
    side: Sides = "both",
    gradients: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> Scores:
    """The importance of every unit of a network.

    Args:
        subject: the network and its groups.
        criterion: the name of one (:mod:`edgecompress.pruning.criteria`), or a function
            (:data:`edgecompress.pruning.criterion.Criterion`).
        side: the weights that count.
        gradients: of the loss, by parameter, for criteria that need them.
        seed: of the generator that the criterion is given.

    Raises:
        RecipeError: the criterion cannot be found or called, or gives something else than a number for each unit.
    """
    chosen, generator = choose(CRITERIA, criterion), torch.Generator().manual_seed(seed)
    weights, scales = _weights(subject.module), _batch_norm_scales(subject.module)
    scores: dict[int, float] = {}
    for group in subject.groups:
        members = tuple(_members(subject, group, weights, scales, gradients or {}, side))
        given = UnitGroup(name=group.name, units=len(group.units), members=members)
        scores.update(zip(group.units, _checked(chosen, given, chosen(given, generator)), strict=True))
    return scores


def _checked(chosen: NamedFunction, group: UnitGroup, scores: object) -> list[float]:
    if not isinstance(scores, Tensor) or scores.shape != (group.units,) or not torch.isfinite(scores).all():
        raise RecipeError(
            f"{chosen.told} gives no tensor of {group.units} finite numbers for the channels of {group.name!r}; repair"
            " it, or choose another"
        )
    return scores.tolist()


def _weights(module: nn.Module) -> dict[str, Tensor]:
    """The parameters by name; of a masked one, what the layer computes with."""
    found: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        owner, parametrized, rest = name.partition(".parametrizations.")
        own = rest.partition(".")[0]
        found[name] = getattr(module.get_submodule(owner), own) if parametrized else parameter
    return found


def _members(
    subject: Subject,
    group: Group,
    weights: Mapping[str, Tensor],
    scales: set[str],
    gradients: Mapping[str, Tensor],
    side: Sides,
) -> Iterator[UnitWeights]:
    """The parameters of a group, buffers left out."""
    numbers = torch.full((subject.structure.classes,), len(group.units))
    numbers[list(group.units)] = torch.arange(len(group.units))
    for name, axis in group.members:
        if name in weights:
            own = _side(subject, (name, axis))
            yield UnitWeights(
                name=name,
                values=weights[name].detach(),
                gradient=gradients.get(name),
                axis=axis,
                places=tuple(numbers[classes] for at, classes in subject.structure.tensors[name].axes if at == axis),
                units=len(group.units),
                side=own,
                counted=own is not None and side in ("both", own),
                batch_norm=name in scales,
            )


def _side(subject: Subject, member: Member) -> Side | None:
    """Whether weights make channels or read them; biases and norms do neither."""
    name, axis = member
    if len(subject.structure.tensors[name].shape) < 2:
        return None
    path, _, _ = name.partition(".parametrizations.")
    owner = subject.module.get_submodule(path if path != name else name.rpartition(".")[0])
    made = 1 if getattr(owner, "transposed", False) else 0
    return "filter" if axis == made else "channel"


def _batch_norm_scales(module: nn.Module) -> set[str]:
    batch_norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return {f"{path}.weight" for path, part in module.named_modules() if isinstance(part, batch_norms) and part.affine}
