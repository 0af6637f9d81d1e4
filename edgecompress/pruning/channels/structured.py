"""Structured pruning: channels leave the network, with everything that depends on them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from edgecompress.errors import OUR_FAULT, USER_CODE_FAILS, EdgecompressError
from edgecompress.modules.modes import evaluating
from edgecompress.pruning.channels.capturing import capture_modes
from edgecompress.pruning.channels.constant_sizes import settle_constants
from edgecompress.pruning.storage import named_tensors
from edgecompress.pruning.structure.analysis import Structure, Ties, analyse
from edgecompress.pruning.structure.groups import Group, as_flags, find_groups, find_refusals, removed_from
from edgecompress.pruning.structure.surgery import remove, resize_attributes
from edgecompress.pruning.structure.zeroed_channels import run_with_zeroed
from edgecompress.step import Refusal

TOLERANCE = 1e-4
"""Largest difference between the pruned network and the silenced one, as a share of the outputs' range."""
LAST_PLACES = 16
"""What rounding may differ by on top of it, in units of the last place of the largest output."""
FIXED = "the code of the network fixes this size"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network with the inputs that it is analysed on, and what the analysis found."""

    module: nn.Module
    structure: Structure
    groups: tuple[Group, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A smaller network.

    Attributes:
        model: the pruned copy.
        removed: what left it: tensor name -> axis -> indices in the original, int64.
        refusals: what was left whole, and why.
    """

    model: nn.Module
    removed: Mapping[str, Mapping[int, Tensor]]
    refusals: tuple[Refusal, ...]


def examine(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None) -> Subject:
    """Capture a network and find the channels that can be removed together.

    Args:
        module: not modified; taken in evaluation mode.
        args: example inputs by position.
        kwargs: example inputs by name.

    Raises:
        ModelError: ``torch.export`` cannot capture it.
    """
    captured = capture_modes(module, args, kwargs or {})

    def follow(ties: Ties) -> Structure:
        return analyse(captured.evaluation, captured.training, fault=captured.fault, ties=ties)

    structure = settle_constants(follow, lambda found, units: _try(module, found, units) is not None)
    return Subject(module=module, structure=structure, groups=find_groups(structure), refusals=find_refusals(structure))


def cut_out(subject: Subject, units: Sequence[int]) -> Pruned:
    """The network without these units, compared with the one in which they are silenced.

    Groups whose sizes the network's own code fixes in a way that cannot be followed are left whole.

    Raises:
        EdgecompressError: the smaller network computes something else, or holds other channels than were chosen.
    """
    refusals = list(subject.refusals)
    model = _try(subject.module, subject.structure, units)
    if model is None:
        fixed = [group for group in subject.groups if _is_fixed(subject, group, units)]
        refusals += [Refusal(name=group.name, kind="channels", reason=FIXED) for group in fixed]
        kept = {unit for group in fixed for unit in group.units}
        units = [unit for unit in units if unit not in kept]
        model = _try(subject.module, subject.structure, units)
    if model is None:
        raise EdgecompressError(f"the pruned network differs from the silenced one; {OUR_FAULT}")
    return Pruned(model=model, removed=removed_from(subject.structure, units), refusals=tuple(refusals))


def _is_fixed(subject: Subject, group: Group, units: Sequence[int]) -> bool:
    own = [unit for unit in group.units if unit in set(units)]
    return bool(own) and _try(subject.module, subject.structure, own) is None


def _try(module: nn.Module, structure: Structure, units: Sequence[int]) -> nn.Module | None:
    """The pruned network, if it computes what it should, and still trains."""
    gone = as_flags(structure, units)
    expected = run_with_zeroed(structure, gone)
    smaller = remove(module, structure, gone)
    _require_kept(smaller, module, structure, gone)
    candidates = chain([smaller], resize_attributes(smaller, structure, gone))
    return next((candidate for candidate in candidates if _fits(candidate, structure, expected)), None)


def _fits(module: nn.Module, structure: Structure, expected: Sequence[Tensor]) -> bool:
    return _agrees(module, structure, expected) and (structure.training is None or _trains(module, structure.training))


def _trains(module: nn.Module, training: Structure) -> bool:
    """Whether a network runs in training as it did; its values are random there, or hang on what is in the batch."""
    args, kwargs = training.program.example_inputs
    learning = copy.deepcopy(module).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            learning(*args, **kwargs)
    except USER_CODE_FAILS:
        return False
    return True


def _require_kept(smaller: nn.Module, module: nn.Module, structure: Structure, gone: Tensor) -> None:
    """Hold every tensor against the original: what stayed are the channels that were not chosen to go.

    Where the two networks differ although all of them did, it is the network's own code that fixes a size.
    """
    original, left = named_tensors(module), named_tensors(smaller)
    for name in left.keys() & structure.tensors.keys():
        expected = original[name].detach()
        for axis in range(expected.ndim):
            chosen = [gone[classes] for own, classes in structure.tensors[name].axes if own == axis]
            if chosen:
                stays = ~torch.stack(chosen).any(0).to(expected.device)
                expected = expected.movedim(axis, 0)[stays].movedim(0, axis)
        if not torch.equal(left[name].detach(), expected):
            raise EdgecompressError(f"{name!r} was left with other channels than were chosen; {OUR_FAULT}")


def _agrees(module: nn.Module, structure: Structure, expected: Sequence[Tensor]) -> bool:
    args, kwargs = structure.program.example_inputs
    try:
        with evaluating(module), torch.no_grad():
            outputs = [output for output in pytree.tree_leaves(module(*args, **kwargs)) if isinstance(output, Tensor)]
    except USER_CODE_FAILS:
        return False
    if [output.shape for output in outputs] != [output.shape for output in expected]:
        return False
    return all(is_close(output, other) for output, other in zip(outputs, expected, strict=True))


def is_close(left: Tensor, right: Tensor) -> bool:
    """Whether two outputs of one shape differ by no more than ``TOLERANCE`` of the right one's range, and rounding."""
    if not left.is_floating_point():
        return torch.equal(left, right)
    if not right.numel():
        return True
    rounding = LAST_PLACES * torch.finfo(right.dtype).eps * right.abs().max()
    return bool((left - right).abs().max() <= TOLERANCE * (right.max() - right.min()) + rounding)
