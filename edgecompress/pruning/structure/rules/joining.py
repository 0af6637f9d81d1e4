"""Operators that put several tensors into one, or give several one shape."""

from __future__ import annotations

import torch
from torch import Tensor

from edgecompress.pruning.structure.channel_classes import UNLABELLED, Classes
from edgecompress.pruning.structure.channel_labels import Labelled, combine, labelled, reshape, varying
from edgecompress.pruning.structure.rules.call import Call, Result, Rule
from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS
from edgecompress.pruning.structure.rules.unknown import unknown

OWN_AXES = {"column_stack": 1, "dstack": 2, "hstack": 1, "row_stack": 0, "vstack": 0}
"""The axis of those operators that have no argument for it."""


def concatenate(classes: Classes, call: Call) -> Result:
    """Channels lie side by side along one axis, and are removed together along the others."""
    operands: list[Labelled] = [operand for operand in call["tensors"] if operand.shape != (0,)]
    if any(len(operand.shape) != len(call.shape) for operand in operands):  # rows, of vectors
        return unknown(classes, call)
    axis = OWN_AXES.get(call.name)
    axis = call.axes("dim", len(call.shape)).pop() if axis is None else axis
    side = [_along(operand, axis) for operand in operands]
    slots = [torch.cat(side, axis)] if any(bool(slot.any()) for slot in side) else []
    across = combine(classes, [_across(operand, axis) for operand in operands], _one(call.shape, axis), MEETS_CONSTANTS)
    return labelled(classes, call.shape, [*slots, *(slot.expand(*call.shape) for slot in across.slots)])


def stack(classes: Classes, call: Call) -> Labelled:
    """Tensors side by side along a new axis, which itself stays whole."""
    axis = call.axes("dim", len(call.shape)).pop()
    shape = _one(call.shape, axis)
    across = combine(classes, [reshape(operand, shape) for operand in call["tensors"]], shape, MEETS_CONSTANTS)
    return labelled(classes, call.shape, (slot.expand(*call.shape) for slot in across.slots))


def broadcast(classes: Classes, call: Call) -> Result:
    """Several tensors, each repeated until all have one shape."""
    return [
        labelled(classes, shape, (slot.expand(*shape) for slot in operand.slots))
        for operand, shape in zip(call["tensors"], call.shapes, strict=True)
    ]


def _one(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if at == axis else size for at, size in enumerate(shape))


def _along(operand: Labelled, axis: int) -> Tensor:
    for slot in operand.slots:
        if axis in varying(slot):
            return slot
    return torch.tensor(UNLABELLED).expand(*operand.shape)


def _across(operand: Labelled, axis: int) -> Labelled:
    slots = tuple(slot.narrow(axis, 0, 1) for slot in operand.slots if axis not in varying(slot))
    return Labelled(_one(operand.shape, axis), slots)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate", *OWN_AXES), concatenate),
    "broadcast_tensors": broadcast,
    "stack": stack,
}
