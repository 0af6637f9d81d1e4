"""The oracle of structured pruning: the network as it was captured, with the removed channels held at zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.channel_labels import Labelled
from edgecompress.pruning.structure.groups import kept_by_axis
from edgecompress.pruning.structure.rules.call import bind, operator_name
from edgecompress.pruning.structure.rules.reduction import GATHERING

_OVER_CHANNELS = ("layer_norm", "group_norm", "rms_norm")


@torch.no_grad()
def run_with_zeroed(structure: Structure, gone: Tensor) -> list[Tensor]:
    """The outputs on the inputs that the program was captured with.

    Every tensor on the way has its removed channels at zero; a normalization over channels takes its statistics
    from those that are left.

    Args:
        structure: of the network that nothing was removed from.
        gone: whether each class is removed: bool, (classes,).
    """
    values = dict(_sources(structure))
    for node in structure.program.graph.nodes:
        if node.op == "call_function":
            result = _normalize(structure, node, values, gone) if _is_over_channels(node) else None
            if result is None:
                result = _call(node, {**values, **_gathered(structure, node, values, gone)})
            values[node] = _zero(result, structure.values[node], gone)
        elif node.op == "output":
            returned = fx.map_arg(node.args[0], values.__getitem__)
            return [leaf for leaf in pytree.tree_leaves(returned) if isinstance(leaf, Tensor)]
    raise AssertionError("a graph has an output")


def _sources(structure: Structure) -> Mapping[fx.Node, Any]:
    program = structure.program
    stored = {**program.graph_signature.inputs_to_parameters, **program.graph_signature.inputs_to_buffers}
    stored.update(program.graph_signature.inputs_to_lifted_tensor_constants)
    given = iter(pytree.tree_leaves(program.example_inputs))
    values = {}
    for node in program.graph.find_nodes(op="placeholder"):
        name = stored.get(node.name)
        if name is None:
            values[node] = next(given)
        else:
            values[node] = program.state_dict[name] if name in program.state_dict else program.constants[name]
    return values


def _call(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    args: Any = fx.map_arg(node.args, values.__getitem__)
    kwargs: Any = fx.map_arg(node.kwargs, values.__getitem__)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _gathered(
    structure: Structure, node: fx.Node, values: Mapping[fx.Node, Any], gone: Tensor
) -> dict[fx.Node, Tensor]:
    """The input of a statistic over channels, which is one of those that are left."""
    if operator_name(node) not in GATHERING:
        return {}
    source = node.all_input_nodes[0]
    channels = structure.values[source][0]
    over = bind(node, {source: Labelled(channels.shape)}).axes("dim", len(channels.shape))
    own = Channels(channels.shape, tuple((axis, classes) for axis, classes in channels.axes if axis in over))
    return {source: cut(values[source], own, gone)}


def _is_over_channels(node: fx.Node) -> bool:
    return operator_name(node) in _OVER_CHANNELS


def _normalize(structure: Structure, node: fx.Node, values: Mapping[fx.Node, Any], gone: Tensor) -> Tensor:
    """The normalization of what is left, with zeros put back in the places of what is not."""
    source, setting, *vectors = (node.args[index] for index in range(len(node.args)))
    assert isinstance(source, fx.Node)
    whole: Tensor = values[source]
    kept = kept_by_axis(structure.values[node][0], gone)
    left = [
        cut(values[vector], structure.values[vector][0], gone) if isinstance(vector, fx.Node) else vector
        for vector in vectors
    ]
    part = cut(whole, structure.values[node][0], gone)
    if operator_name(node) == "group_norm":
        setting = part.shape[1] if setting == whole.shape[1] else setting
    else:
        setting = list(part.shape[-len(setting) :])  # type: ignore[arg-type]
    result = node.target(part, setting, *left, **node.kwargs)  # type: ignore[operator]
    for axis, stays in kept.items():
        full = result.new_zeros([*result.shape[:axis], len(stays), *result.shape[axis + 1 :]])
        result = full.index_copy(axis, stays.nonzero().flatten(), result)
    assert isinstance(result, Tensor)
    return result


def cut(tensor: Tensor, channels: Channels, gone: Tensor) -> Tensor:
    """A tensor without the removed channels."""
    for axis, kept in kept_by_axis(channels, gone).items():
        if not kept.all():
            tensor = tensor.index_select(axis, kept.nonzero().flatten().to(tensor.device))
    return tensor


def _zero(result: Any, channels: tuple[Channels, ...], gone: Tensor) -> Any:
    if isinstance(result, (list, tuple)):
        return [_zero(part, (own,), gone) for part, own in zip(result, channels, strict=True)]
    if not isinstance(result, Tensor) or not channels:
        return result
    for axis, kept in kept_by_axis(channels[0], gone).items():
        if not kept.all():
            result = result.index_fill(axis, (~kept).nonzero().flatten(), 0)
    return result
