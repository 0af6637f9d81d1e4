"""A call of an operator in the captured graph, with labelled tensors in place of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import Labelled

Result = Labelled | list[Labelled]
FOUND = "found in the data"
"""Key under which a node of the graph says whether it finds a size or a number in the data."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: ``arguments`` by the names of the operator's schema, defaults filled in."""

    node: fx.Node
    arguments: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def name(self) -> str:
        """The operator without its overload and without the underscore of the in-place form."""
        return operator_name(self.node).rstrip("_")

    @property
    def tensors(self) -> list[Labelled]:
        """The tensors among the arguments."""
        return [leaf for leaf in pytree.tree_leaves(dict(self.arguments)) if isinstance(leaf, Labelled)]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shape of each tensor that the call returns."""
        leaves = pytree.tree_leaves(self.node.meta.get("val"))
        return [tuple(leaf.shape) for leaf in leaves if isinstance(leaf, Tensor)]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the one tensor that it returns, or of the first of several."""
        return self.shapes[0]

    def given(self, name: str) -> Any:
        """An argument as it stands in the graph: a node, where a tensor or a number was computed."""
        place = list(self.arguments).index(name)
        return self.node.args[place] if place < len(self.node.args) else self.node.kwargs.get(name)

    @property
    def finds_size(self) -> bool:
        """Whether the size of what it returns, or the number, depends on the data."""
        return bool(self.node.meta.get(FOUND))

    @property
    def reads_number(self) -> bool:
        """Whether one of its numbers was computed from the data."""
        return any(is_number(node) for node in self.node.all_input_nodes)

    def axes(self, name: str, rank: int) -> set[int]:
        """An argument that names one axis, several, or none for all, as a set of non-negative axes."""
        given = self.arguments.get(name)
        if given is None or given == []:
            return set(range(rank))
        return {axis % max(rank, 1) for axis in (given if isinstance(given, (list, tuple)) else [given])}


Rule = Callable[[Classes, Call], Result]


def bind(node: fx.Node, values: Mapping[fx.Node, Result]) -> Call:
    """The call of a node whose inputs have the given labels."""

    def look_up(argument: fx.Node) -> Any:
        return argument.meta["val"] if is_number(argument) else values.get(argument)

    args = fx.map_arg(node.args, look_up)
    kwargs = fx.map_arg(node.kwargs, look_up)
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return Call(node=node, arguments={**{str(index): value for index, value in enumerate(args)}, **kwargs})
    names = [argument.name for argument in schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    defaults = {argument.name: argument.default_value for argument in schema.arguments}
    return Call(node=node, arguments={name: given.get(name, defaults[name]) for name in names})


def is_number(node: fx.Node) -> bool:
    """Whether a node computes a number, not a tensor."""
    return isinstance(node.meta.get("val"), (bool, int, float))


def operator_name(node: fx.Node) -> str:
    """The operator of a node without its overload, like ``conv2d``."""
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name).removeprefix("aten::")
    return getattr(node.target, "__name__", str(node.target))
