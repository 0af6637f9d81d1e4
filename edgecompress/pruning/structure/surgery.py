"""Surgery: the removed channels leave the module's tensors, and the sizes that its code reads follow."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice, product
from typing import TypeVar

from torch import Tensor, fx, nn

from edgecompress.modules.copies import copied
from edgecompress.pruning.structure.analysis import Channels, Structure
from edgecompress.pruning.structure.channel_labels import Labelled
from edgecompress.pruning.structure.groups import kept_by_axis
from edgecompress.pruning.structure.rules.call import bind, operator_name
from edgecompress.pruning.structure.rules.constants import SIZED
from edgecompress.pruning.structure.rules.movement import amounts_at
from edgecompress.pruning.structure.zeroed_channels import cut

Sizes = dict[tuple[str, int], int]
"""New sizes by module and old size."""
Names = tuple[str, ...]
Key = TypeVar("Key", bound=Hashable)
_SIZED = (*SIZED, "broadcast_to", "expand", "repeat", "reshape", "tile", "unflatten", "view")
"""Operators that are told the size of what they return."""
MOST_CHOICES = 12
"""Most combinations of attributes that are tried for a size, one after the other."""


def remove(module: nn.Module, structure: Structure, gone: Tensor) -> nn.Module:
    """A copy of the module without the removed channels.

    Args:
        module: what the structure was found in; not modified.
        structure: its channels.
        gone: whether each class is removed: bool, (classes,).
    """
    smaller = copied(module)
    _cut_tensors(smaller, structure, gone)
    groups, normalized = _depthwise_groups(structure, gone), _normalized(structure, gone)
    for path, part in smaller.named_modules():
        _resize_layer(part, groups.get(path), normalized.get(path, ()))
    return smaller


def resize_attributes(smaller: nn.Module, structure: Structure, gone: Tensor) -> Iterator[nn.Module]:
    """Copies in which the whole numbers that a module's own code reads as sizes follow the channels.

    A view into 12 heads, in a module whose attribute ``heads`` is 12, becomes one into as many as are left. Where
    several attributes are 12, or the 12 was computed, it cannot be known which one is meant: all change, then one at a
    time, then none; first in all modules alike, then in each for itself.
    """
    changes = _changes(smaller, _sizes(structure, gone))
    alike = _choices({names: names for _, names, _ in changes})
    apart = _choices({(path, names): names for path, names, _ in changes})
    for chosen in (*({(path, names): choice[names] for path, names, _ in changes} for choice in alike), *apart):
        resized = copied(smaller)
        for path, names, new in changes:
            for name in chosen[path, names]:
                setattr(resized.get_submodule(path), name, new)
        yield resized


def _changes(module: nn.Module, sizes: Sizes) -> list[tuple[str, Names, int]]:
    """The module whose attributes have an old size, by path, the names of these attributes, and the new size."""
    changes = []
    for (path, old), new in sizes.items():
        for owner in _owners(path):
            attributes = vars(module.get_submodule(owner)).items()
            if found := tuple(name for name, value in attributes if type(value) is int and value == old):
                changes.append((owner, found, new))
                break
    return changes


def _choices(attributes: Mapping[Key, Names]) -> list[dict[Key, Names]]:
    """For each key, which of its attributes change: the first few of all combinations."""
    options = ([names, *((name,) for name in names if len(names) > 1), ()] for names in attributes.values())
    return [dict(zip(attributes, choice, strict=True)) for choice in islice(product(*options), MOST_CHOICES)]


def _cut_tensors(module: nn.Module, structure: Structure, gone: Tensor) -> None:
    done: dict[int, Tensor] = {}  # a tensor that two layers share stays shared
    for kind in ("named_parameters", "named_buffers"):
        for name, tensor in list(getattr(module, kind)(remove_duplicate=False)):
            if name not in structure.tensors and id(tensor) not in done:
                continue
            if id(tensor) not in done:
                smaller = cut(tensor.detach(), structure.tensors[name], gone)
                is_parameter = isinstance(tensor, nn.Parameter)
                done[id(tensor)] = nn.Parameter(smaller, tensor.requires_grad) if is_parameter else smaller
            parent, _, own = name.rpartition(".")
            setattr(module.get_submodule(parent), own, done[id(tensor)])


def _resize_layer(part: nn.Module, groups: int | None, normalized: tuple[int, ...]) -> None:
    """The attributes in which PyTorch's own layers repeat the shape of their weights, or of what they normalize."""
    if normalized:
        _resize_norm(part, normalized)
    weight = getattr(part, "weight", None)
    if not isinstance(weight, Tensor):
        return
    if isinstance(part, nn.modules.conv._ConvNd):
        part.groups = groups or part.groups
        sizes = weight.shape[0], weight.shape[1] * part.groups
        if part.transposed:
            sizes = weight.shape[1] * part.groups, weight.shape[0]
        part.out_channels, part.in_channels = sizes
    elif isinstance(part, nn.Linear):
        part.out_features, part.in_features = weight.shape
    elif isinstance(part, nn.Embedding):
        part.num_embeddings, part.embedding_dim = weight.shape
    elif isinstance(part, nn.PReLU):
        part.num_parameters = len(weight)


def _resize_norm(part: nn.Module, shape: tuple[int, ...]) -> None:
    if isinstance(part, nn.modules.batchnorm._NormBase):
        part.num_features = shape[1]
    elif isinstance(part, nn.LayerNorm | nn.RMSNorm):
        part.normalized_shape = shape[-len(part.normalized_shape) :]
    elif isinstance(part, nn.GroupNorm):
        part.num_groups = shape[1] if part.num_groups == part.num_channels else part.num_groups
        part.num_channels = shape[1]


def _normalized(structure: Structure, gone: Tensor) -> dict[str, tuple[int, ...]]:
    """What is left of the tensor that each normalization gives, by module path."""
    found = {}
    for node, values in _calls(structure):
        if operator_name(node).endswith("_norm") and _paths(node):
            found[_paths(node)[-1]] = tuple(_left(values[0], axis, gone) for axis in range(len(values[0].shape)))
    return found


def _depthwise_groups(structure: Structure, gone: Tensor) -> dict[str, int]:
    """The number of groups that is left of each convolution whose groups read one channel each, by module path."""
    found = {}
    for mode in structure.modes:
        found.update(_groups_left(mode, gone))
    return found


def _groups_left(structure: Structure, gone: Tensor) -> dict[str, int]:
    found = {}
    for node in structure.program.graph.nodes:
        if not operator_name(node).startswith("conv"):
            continue
        call = bind(node, {operand: Labelled(structure.values[operand][0].shape) for operand in node.all_input_nodes})
        groups = call["groups"]
        source, rows = structure.values[node.all_input_nodes[0]][0], len(call["stride"]) + 1
        axis = len(source.shape) - rows
        if groups > 1 and source.shape[axis] == groups:
            found[_paths(node)[-1]] = _left(source, axis, gone)
    return found


def _sizes(structure: Structure, gone: Tensor) -> Sizes:
    """The sizes that stand as numbers in the graph and that change, by the module whose code wrote them."""
    sizes: Sizes = {}
    for node, values in _calls(structure):
        if values and _paths(node):
            for old, new in _literals(node, values, gone):
                if old != new:
                    sizes.setdefault((_paths(node)[-1], old), new)
    return sizes


def _calls(structure: Structure) -> Iterator[tuple[fx.Node, tuple[Channels, ...]]]:
    """The calls of a network, those that it makes in training included, and what each returns."""
    for mode in structure.modes:
        yield from ((node, values) for node, values in mode.values.items() if node.op == "call_function")


def _literals(node: fx.Node, values: tuple[Channels, ...], gone: Tensor) -> Iterator[tuple[int, int]]:
    """Whole numbers among a node's arguments that are sizes: what they were, and what they become."""
    result = values[0]
    name = operator_name(node).removesuffix("_copy")
    if name in _SIZED:
        for axis, size in enumerate(result.shape):
            yield size, _left(result, axis, gone)
    elif name in ("pad", "constant_pad_nd"):
        amounts: list[int] = node.args[1]  # type: ignore[assignment]
        for axis, classes in result.axes:
            before, after = amounts_at(amounts, len(result.shape), axis)
            for size, padding in ((before, classes[:before]), (after, classes[len(classes) - after :])):
                yield size, int((~gone[padding]).sum())
    elif name in ("chunk", "split", "split_with_sizes", "slice", "narrow"):
        for part in values:
            for axis, _ in part.axes:
                yield part.shape[axis], _left(part, axis, gone)
    elif name in ("index", "index_select", "layer_norm", "rms_norm", "group_norm"):
        for axis, _ in result.axes:
            yield result.shape[axis], _left(result, axis, gone)


def _left(channels: Channels, axis: int, gone: Tensor) -> int:
    kept = kept_by_axis(channels, gone).get(axis)
    return channels.shape[axis] if kept is None else int(kept.sum())


def _paths(node: fx.Node) -> list[str]:
    """The modules in whose forward a node was captured, the innermost last; the network itself is ``""``."""
    return [str(path) for path, _ in node.meta.get("nn_module_stack", {}).values()]


def _owners(path: str) -> Iterator[str]:
    """A path, then those of the modules that hold it, the innermost first."""
    while True:
        yield path
        if not path:
            return
        path = path.rpartition(".")[0]
