"""Operators that move elements about: they are run on the labels as they are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, labelled, reshape, touch, varying
from edgecompress.pruning.structure.rules.call import Call, Result, Rule
from edgecompress.pruning.structure.rules.unknown import unknown

PICKED = "is picked out by its index"


def move(classes: Classes, call: Call) -> Result:
    """Views, transposes, parts and repetitions: the labels move with the elements."""
    operand, *rest = call.arguments.values()
    if not isinstance(operand, Labelled) or _reads_tensors(call):
        return unknown(classes, call)
    moved = [_run(call, slot, rest) for slot in operand.slots]
    results = [
        labelled(classes, shape, _kept(classes, operand.slots, [outputs[index] for outputs in moved]))
        for index, shape in enumerate(call.shapes)
    ]
    return results if isinstance(call.node.meta["val"], (list, tuple)) else results[0]


def pick(classes: Classes, call: Call) -> Labelled:
    """One index: what lies only along its axis keeps its place, and so does all before and behind it."""
    operand: Labelled = call["self"]
    axis = call["dim"] % len(operand.shape)
    for slot in operand.slots:
        if varying(slot) == {axis}:
            classes.freeze(slot, PICKED)
    result = move(classes, call)
    assert isinstance(result, Labelled)
    return result


def view(classes: Classes, call: Call) -> Labelled:
    """Another shape for the same elements in the same order."""
    return labelled(classes, call.shape, reshape(call["self"], call.shape).slots)


def expand(classes: Classes, call: Call) -> Labelled:
    """The same elements, repeated along axes of length one."""
    return labelled(classes, call.shape, (slot.expand(*call.shape) for slot in call["self"].slots))


def part(classes: Classes, call: Call) -> Result:
    """A split or a slice. Where the parts are equal, each loses the same channels, so that they stay equal."""
    if _reads_tensors(call):
        return unknown(classes, call)
    operand, axis = call["self"], _axis(call)
    size = call.shape[axis]
    equal = size > 1 and not (operand.shape[axis] % size or _start(call) % size or call.arguments.get("step", 1) != 1)
    for slot in operand.slots:
        if axis in varying(slot) and size < operand.shape[axis]:
            if not equal or any(shape[axis] != size for shape in call.shapes):
                if call.name in ("slice", "slice_copy"):
                    classes.freeze(slot, PICKED)
                continue
            parts = slot.split(size, axis)
            for other in parts[1:]:
                classes.unify(parts[0], other)
    return move(classes, call)


def shuffle(classes: Classes, call: Call) -> Labelled:
    """A channel shuffle: the channels in rows, read by columns; every row keeps the same places."""
    operand, rows = call["self"], call["groups"]
    batch, channels, *spatial = operand.shape
    split = reshape(operand, (batch, rows, channels // rows, *spatial))
    slots = (touch(classes, slot, {1}, "is a row of a channel shuffle") for slot in split.slots)
    turned = Labelled(split.shape, tuple(slot.transpose(1, 2) for slot in slots))
    return labelled(classes, call.shape, reshape(turned, call.shape).slots)


def pad(classes: Classes, call: Call) -> Labelled:
    """Channels of padding are channels too; equal amounts before and after stay equal."""
    operand, amounts = call["self"], call["pad"]
    slots = []
    for slot in operand.slots:
        for axis in range(slot.ndim):
            before, after = amounts_at(amounts, slot.ndim, axis)
            if before or after:
                slot = _pad(classes, slot, axis, before, after)
        slots.append(slot)
    return labelled(classes, call.shape, slots)


def amounts_at(amounts: list[int], rank: int, axis: int) -> tuple[int, int]:
    """The padding before and after along an axis; ``amounts`` begins with the last axis."""
    start = 2 * (rank - 1 - axis)
    return (amounts[start], amounts[start + 1]) if start + 1 < len(amounts) else (0, 0)


def _pad(classes: Classes, slot: Tensor, axis: int, before: int, after: int) -> Tensor:
    if axis not in varying(slot):
        size = slot.shape[axis] + before + after
        return slot.narrow(axis, 0, 1).expand([size if at == axis else old for at, old in enumerate(slot.shape)])
    if before < 0 or after < 0 or varying(slot) != {axis}:
        classes.freeze(slot, "is padded together with other axes")
        before_labels, after_labels = torch.zeros(max(before, 0)), torch.zeros(max(after, 0))
    else:
        before_labels, after_labels = classes.fresh(before), classes.fresh(after)
    if before == after:
        classes.unify(before_labels, after_labels)
    shape = [1] * slot.ndim
    ends = []
    for labels in (before_labels, after_labels):
        shape[axis] = len(labels)
        ends.append(labels.long().view(shape).expand([*slot.shape[:axis], len(labels), *slot.shape[axis + 1 :]]))
    inner = slot.narrow(axis, max(-before, 0), slot.shape[axis] + min(before, 0) + min(after, 0))
    return torch.cat([ends[0], inner, ends[1]], axis)


def _axis(call: Call) -> int:
    """The axis of parts, named by an argument or by the operator."""
    rank = len(call["self"].shape)
    named = _OWN_AXES.get(call.name)
    return call.axes("dim", rank).pop() if named is None else min(named, rank - 1)


def _reads_tensors(call: Call) -> bool:
    """Whether a tensor says what moves where."""
    return len(call.tensors) > 1


def _run(call: Call, slot: Tensor, rest: list[Any]) -> list[Tensor]:
    names = list(call.arguments)[1:]
    outputs = call.node.target(slot, **dict(zip(names, rest, strict=True)))  # type: ignore[operator]
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _kept(classes: Classes, before: tuple[Tensor, ...], after: list[Tensor]) -> list[Tensor]:
    """The slots after a move; a channel that it singled out by its place has to keep that place."""
    for old, new in zip(before, after, strict=True):
        if varying(old) and not varying(new):
            classes.freeze(new, PICKED)
    return after


def _start(call: Call) -> int:
    return int(call.arguments.get("start") or 0)


_MOVES = (
    "adjoint",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "flip",
    "fliplr",
    "flipud",
    "mH",
    "mT",
    "matrix_H",
    "moveaxis",
    "movedim",
    "numpy_T",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "tile",
    "transpose",
    "unbind",
    "unsqueeze",
)
_VIEWS = (
    "_reshape_alias",
    "_unsafe_view",
    "flatten",
    "ravel",
    "reshape",
    "reshape_as",
    "unflatten",
    "view",
    "view_as",
)
_EXPANSIONS = ("broadcast_to", "expand", "expand_as")
_PARTS = (
    "chunk",
    "dsplit",
    "hsplit",
    "narrow",
    "slice",
    "split",
    "split_with_sizes",
    "tensor_split",
    "unsafe_chunk",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "vsplit",
)
_OWN_AXES = {"dsplit": 2, "hsplit": 1, "vsplit": 0}
SHAPED = (*_VIEWS, *_EXPANSIONS)
"""Operators whose rules read no number but the sizes of what they return."""

_ALIASING: dict[str, Rule] = {
    **dict.fromkeys(_MOVES, move),
    **dict.fromkeys(_VIEWS, view),
    **dict.fromkeys(_PARTS, part),
    **dict.fromkeys(_EXPANSIONS, expand),
    "select": pick,
}

RULES: dict[str, Rule] = {
    **_ALIASING,
    **{f"{name}_copy": rule for name, rule in _ALIASING.items()},
    "_reshape_copy": view,
    "channel_shuffle": shuffle,
    "native_channel_shuffle": shuffle,
    "pad": pad,
    "constant_pad_nd": pad,
}
