"""Rows that are read or written by their indices: channels along other axes stay apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, fx

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled, combine, labelled, varying
from edgecompress.pruning.structure.rules.call import Call, Rule, operator_name
from edgecompress.pruning.structure.rules.elementwise import MEETS_CONSTANTS
from edgecompress.pruning.structure.rules.movement import PICKED

INDEXES = "takes part in indices"


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """The axes that indices name, and the axis at which those of the indices come into their place."""

    axes: frozenset[int]
    place: int
    rank: int
    """Of the indices, all together."""


def index(classes: Classes, call: Call) -> Labelled:
    """``x[:, indices]``, with integers or with a mask."""
    if _takes_all(call):
        return labelled(classes, call.shape, call["self"].slots)
    indexed = _indexed(classes, call)
    return labelled(classes, call.shape, _rows(classes, call["self"], indexed, call.shape))


def put(classes: Classes, call: Call) -> Labelled:
    """``x[indices] = values``: channels of both leave together; ``index_add`` and ``index_copy`` are the same."""
    indexed = _indexed(classes, call)
    target, values = call["self"], call["values"] if "values" in call.arguments else call["source"]
    rest = [size for axis, size in enumerate(target.shape) if axis not in indexed.axes]
    written = (1,) * (len(rest) + indexed.rank - len(values.shape)) + values.shape
    inner = written[indexed.place : indexed.place + indexed.rank]
    shape = (*rest[: indexed.place], *inner, *rest[indexed.place :])
    rows = Labelled(shape, tuple(_rows(classes, target, indexed, shape)))
    combine(classes, [rows, values], shape, MEETS_CONSTANTS)
    return labelled(classes, call.shape, [slot for slot in target.slots if not varying(slot) & indexed.axes])


def takes_all(node: fx.Node, size: int) -> bool:
    """Whether an index counts every place of an axis of this length, in order."""
    counts = operator_name(node) == "arange" and not any(isinstance(argument, fx.Node) for argument in node.args)
    return counts and list(node.args) in ([size], [0, size], [0, size, 1])


def _rows(classes: Classes, operand: Labelled, indexed: Indexed, shape: Sequence[int]) -> list[Tensor]:
    """The labels of the rows that indices pick; what lies along an indexed axis has to keep its place."""
    slots = []
    for slot in operand.slots:
        if varying(slot) & indexed.axes:
            classes.freeze(slot, PICKED)
            continue
        core = slot[tuple(0 if axis in indexed.axes else slice(None) for axis in range(slot.ndim))]
        wide = core.reshape(*core.shape[: indexed.place], *[1] * indexed.rank, *core.shape[indexed.place :])
        slots.append(wide.expand(*shape))
    return slots


def _takes_all(call: Call) -> bool:
    found = [(axis, node) for axis, node in enumerate(_index_nodes(call)) if node is not None]
    return len(found) == 1 and all(takes_all(node, call["self"].shape[axis]) for axis, node in found)


def _indexed(classes: Classes, call: Call) -> Indexed:
    """What the indices name; they themselves stay whole."""
    axes: set[int] = set()
    starts, ranks, axis = [], [], 0
    for place, node in enumerate(_index_nodes(call)):
        if node is None:
            axis += 1
            continue
        value: Tensor = node.meta["val"]
        covers = value.ndim if value.dtype in (torch.bool, torch.uint8) else 1
        axes.update(range(axis, axis + covers))
        starts.append(place)
        ranks.append(1 if covers > 1 or value.dtype is torch.bool else value.ndim)
        axis += covers
    for slot in (slot for tensor in _indices(call) for slot in tensor.slots):
        classes.freeze(slot, INDEXES)
    adjacent = all(after == before + 1 for before, after in pairwise(starts))
    rank = 1 if "dim" in call.arguments else max(ranks)
    return Indexed(axes=frozenset(axes), place=min(axes) if adjacent else 0, rank=rank)


def _index_nodes(call: Call) -> list[fx.Node | None]:
    """The index of each of the first axes, or None."""
    if "dim" in call.arguments:
        axis = call.axes("dim", len(call["self"].shape)).pop()
        return [*[None] * axis, call.given("index")]
    return list(call.given("indices"))


def _indices(call: Call) -> list[Labelled]:
    given = call["index"] if "dim" in call.arguments else call["indices"]
    return [index for index in (given if isinstance(given, list) else [given]) if isinstance(index, Labelled)]


RULES: dict[str, Rule] = {
    "index": index,
    "index_select": index,
    "index_put": put,
    "index_add": put,
    "index_copy": put,
}
