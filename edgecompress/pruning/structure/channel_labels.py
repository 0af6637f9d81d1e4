"""Tensors whose elements carry channel labels, and what arithmetic does to the labels.

A tensor can have several independent labellings, its *slots*: a weight has one along its outputs and one along its
inputs. A slot is an int64 tensor of the tensor's own shape, so that whatever moves elements about (views, transposes,
concatenations) can be run on the labels as they are; it has a stride of 0 along every axis on which it does not vary,
so that it costs no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgecompress.pruning.structure.channel_classes import UNLABELLED, Classes


@dataclass(frozen=True)
class Labelled:
    """The shape of a tensor and the labels of its elements; without slots, nothing of it can be removed."""

    shape: tuple[int, ...]
    slots: tuple[Tensor, ...] = ()


def varying(slot: Tensor) -> set[int]:
    """The axes along which the labels differ."""
    core = _core(slot)
    return {axis for axis in range(core.ndim) if bool((core != core.narrow(axis, 0, 1)).any())}


def labelled(classes: Classes, shape: Sequence[int], slots: Iterable[Tensor]) -> Labelled:
    """A tensor with the slots that still vary, each label replaced by its class."""
    compact = (_compact(classes, slot) for slot in slots)
    return Labelled(tuple(shape), tuple(slot for slot in compact if varying(slot)))


def fresh(classes: Classes, shape: Sequence[int]) -> Labelled:
    """A tensor with a slot of new labels along every axis that is longer than one: a parameter."""
    rank = len(shape)
    slots = (
        classes.fresh(size).view([size if other == axis else 1 for other in range(rank)]).expand(*shape)
        for axis, size in enumerate(shape)
        if size > 1
    )
    return Labelled(tuple(shape), tuple(slots))


def combine(classes: Classes, operands: Sequence[Labelled], shape: Sequence[int], reason: str) -> Labelled:
    """The result of an elementwise operation: channels that meet at an element are removed together.

    Args:
        classes: grows coarser.
        operands: they broadcast to ``shape``.
        shape: of the result.
        reason: why channels stay whole that meet values which cannot be removed.
    """
    merged: list[tuple[Tensor, set[int]]] = []
    for index, operand in enumerate(operands):
        for slot in operand.slots:
            wide = _compact(classes, slot.expand(*shape))
            merged = [(_outermost(classes, earlier, wide), others) for earlier, others in merged]
            for earlier, _ in merged:
                wide = _outermost(classes, wide, earlier)
            meets = [entry for entry in merged if varying(entry[0]) & varying(wide)]
            sources = {index}
            for other, others in meets:
                wide = _meet(classes, wide, other, reason).expand(*shape)
                sources |= others
            merged = [entry for entry in merged if not any(entry is met for met in meets)] + [(wide, sources)]
    slots = []
    for slot, sources in merged:
        slot = _compact(classes, slot)
        for index, operand in enumerate(operands):
            if index not in sources:
                slot = touch(classes, slot, _extent(operand, len(shape)), reason)
        slots.append(slot)
    return labelled(classes, shape, slots)


def touch(classes: Classes, slot: Tensor, axes: set[int], reason: str) -> Tensor:
    """The labels after the elements along ``axes`` met values that cannot be removed.

    What varies along other axes too is removed whole along these; what does not is not removed at all, and labels
    nothing from here on, so that it does not hold up others.
    """
    changing = varying(slot)
    if not changing & axes:
        return slot
    if changing <= axes:
        classes.freeze(slot, reason)
        return torch.tensor(UNLABELLED).expand(slot.shape)
    return merge(classes, slot, changing & axes)


def merge(classes: Classes, slot: Tensor, axes: set[int]) -> Tensor:
    """The labels after those along ``axes`` became one class."""
    for axis in axes:
        classes.unify(slot, slot.narrow(axis, 0, 1).expand_as(slot))
        slot = classes.find(slot)
    return _compact(classes, slot)


def add_up(classes: Classes, operand: Labelled, axes: set[int]) -> Labelled:
    """The sum over ``axes``, which vanish: a channel that was removed before it is missed by no term of the sum."""
    slots = [slot if varying(slot) <= axes else merge(classes, slot, varying(slot) & axes) for slot in operand.slots]
    return drop_axes(classes, Labelled(operand.shape, tuple(slots)), axes)


def touch_all(classes: Classes, operand: Labelled, axes: set[int], reason: str) -> Labelled:
    """The same tensor after an operation that mixes the elements along ``axes``."""
    return labelled(classes, operand.shape, (touch(classes, slot, axes, reason) for slot in operand.slots))


def drop_axes(classes: Classes, operand: Labelled, axes: set[int]) -> Labelled:
    """The first element along each of ``axes``, which vanish."""
    kept = [0 if axis in axes else slice(None) for axis in range(len(operand.shape))]
    shape = [size for axis, size in enumerate(operand.shape) if axis not in axes]
    return labelled(classes, shape, (slot[tuple(kept)] for slot in operand.slots))


def reshape(operand: Labelled, shape: Sequence[int]) -> Labelled:
    """The same elements in another shape."""
    return Labelled(tuple(shape), tuple(slot.reshape(*shape) for slot in operand.slots))


def _meet(classes: Classes, left: Tensor, right: Tensor, reason: str) -> Tensor:
    left, right = torch.broadcast_tensors(_core(left), _core(right))  # type: ignore[no-untyped-call]
    classes.unify(left, right)
    classes.freeze(left[right == UNLABELLED], reason)
    classes.freeze(right[left == UNLABELLED], reason)
    return _compact(classes, torch.where(left == UNLABELLED, right, left))


def _outermost(classes: Classes, slot: Tensor, other: Tensor) -> Tensor:
    """The labels before they meet others that lie only along their inner axes, and know nothing of the outermost.

    A table of angles meets the elements of every head alike. Were they unified, an element would leave all heads
    together; the heads are kept apart instead, and leave whole.
    """
    own, inner = varying(slot), varying(other)
    return merge(classes, slot, inner) if inner < own and inner and min(own) not in inner else slot


def _extent(operand: Labelled, rank: int) -> set[int]:
    """The axes of a result of this rank along which the operand is longer than one."""
    offset = rank - len(operand.shape)
    return {axis + offset for axis, size in enumerate(operand.shape) if size > 1}


def _core(slot: Tensor) -> Tensor:
    for axis, stride in enumerate(slot.stride()):
        if stride == 0 and slot.shape[axis] > 1:
            slot = slot.narrow(axis, 0, 1)
    return slot


def _compact(classes: Classes, slot: Tensor) -> Tensor:
    core = classes.find(_core(slot))
    for axis in set(range(core.ndim)) - varying(core):
        core = core.narrow(axis, 0, 1)
    return core.expand(slot.shape)
