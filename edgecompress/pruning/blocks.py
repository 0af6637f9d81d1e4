"""Residual blocks that can leave a network whole: what remains of one is its shortcut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from edgecompress.errors import RecipeError
from edgecompress.modules.copies import copied
from edgecompress.pruning.structure.rules.call import operator_name


@dataclass(frozen=True, kw_only=True)
class Block:
    """A module by its path, and how much it turns what goes through it.

    ``influence`` is 1 - the mean cosine of input and output, per sample: 0 for a block that does nothing (Men et
    al., "ShortGPT", 2024).
    """

    name: str
    influence: float


class Shortcut(nn.Module):
    """What is left of a removed block: its first input."""

    def forward(self, hidden: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        """The first input, unchanged."""
        return hidden


def find_blocks(module: nn.Module, program: ExportedProgram) -> tuple[Block, ...]:
    """The outermost residual blocks of a network, in the order in which they run; a row of them is none itself.

    A block is a module whose output is its input plus what its branches add, possibly through the ReLU that its
    input went through too, so that without the branches it would return what it was given.

    Args:
        module: not modified; in evaluation mode.
        program: the same network as ``torch.export`` captures it, with its example inputs.
    """
    scopes = _scopes(program)
    residual = [path for path, nodes in scopes.items() if path and _is_residual(nodes)]
    found = [path for path in residual if not _is_row(module, path, residual)]
    outermost = [path for path in found if not any(path.startswith(f"{other}.") for other in found)]
    influences = _influences(module, outermost, program.example_inputs)
    return tuple(Block(name=path, influence=influences[path]) for path in outermost if path in influences)


def remove_blocks(module: nn.Module, blocks: Sequence[Block]) -> nn.Module:
    """A copy of a network with the shortcut in place of each block."""
    smaller = copied(module)
    for block in blocks:
        parent, _, own = block.name.rpartition(".")
        smaller.get_submodule(parent).register_module(own, Shortcut())
    return smaller


def choose_blocks(blocks: Sequence[Block], amount: float) -> list[Block]:
    """The share of the blocks with the least influence.

    Raises:
        RecipeError: there is no block that could go.
    """
    if not blocks:
        raise RecipeError("the model has no residual block that could go; choose another pruning.method")
    ranked = sorted(blocks, key=lambda block: block.influence)
    chosen = {block.name for block in ranked[: max(round(amount * len(ranked)), int(amount > 0))]}
    return [block for block in blocks if block.name in chosen]


def _scopes(program: ExportedProgram) -> dict[str, list[fx.Node]]:
    """The calls in each module, those of the modules in it included."""
    scopes: dict[str, list[fx.Node]] = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            for path, _ in node.meta.get("nn_module_stack", {}).values():
                scopes.setdefault(str(path), []).append(node)
    return scopes


def _is_residual(nodes: Sequence[fx.Node]) -> bool:
    """Whether what goes in reaches the one output only through additions."""
    inside = set(nodes)
    sources = {
        source
        for node in nodes
        for source in node.all_input_nodes
        if source not in inside and source.op == "call_function"
    }
    outputs = [node for node in nodes if any(user not in inside for user in node.users)]
    if len(outputs) != 1:
        return False
    (output,) = outputs
    streams = [source for source in sources if _shape(source) == _shape(output)]  # masks may come in, too
    if len(streams) != 1:
        return False
    (source,) = streams
    here, added = source, False
    while (following := _addition(here, inside)) is not None:
        here, added = following, True
    if not added:
        return False
    is_relu = operator_name(output).rstrip("_") == "relu" and output.all_input_nodes == [here]
    return output is here or (is_relu and operator_name(source).rstrip("_") == "relu")


def _is_row(module: nn.Module, path: str, residual: Sequence[str]) -> bool:
    """Whether several blocks in a module have all of its parameters."""
    parts = [other for other in residual if other.startswith(f"{path}.")]
    held = {id(parameter) for part in parts for parameter in module.get_submodule(part).parameters()}
    return len(parts) > 1 and all(id(parameter) in held for parameter in module.get_submodule(path).parameters())


def _addition(node: fx.Node, inside: set[fx.Node]) -> fx.Node | None:
    for user in node.users:
        same = _shape(user) == _shape(node)
        if user in inside and operator_name(user).rstrip("_") == "add" and same and len(user.all_input_nodes) == 2:
            return user
    return None


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    value = node.meta.get("val")
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _influences(module: nn.Module, paths: Sequence[str], inputs: Any) -> dict[str, float]:
    """What each block does to its input, on the example; those that are not called as ``block(x)`` are left out."""
    found: dict[str, float] = {}

    def watch(path: str) -> Any:
        def hook(_module: nn.Module, given: tuple[Any, ...], returned: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(returned, Tensor):
                before, after = given[0].flatten(1), returned.flatten(1)
                found[path] = 1 - float(nn.functional.cosine_similarity(before, after).mean())

        return hook

    handles = [module.get_submodule(path).register_forward_hook(watch(path)) for path in paths]
    args, kwargs = inputs
    try:
        with torch.no_grad():
            module(*args, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
    return found
