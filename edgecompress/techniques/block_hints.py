"""Hints of residual blocks: what a network that was made smaller learns of each block, in addition to the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from edgecompress.modules.capture import capture
from edgecompress.pruning.blocks import Shortcut, find_blocks
from edgecompress.runtime import execute
from edgecompress.techniques.context import Context
from edgecompress.training import BlockHint


class BlockCall(NamedTuple):
    """What a block was given first, and what it handed on."""

    given: Tensor
    handed_on: Tensor


def block_hints(model: nn.Module, weight: float, context: Context) -> tuple[BlockHint, ...]:
    """A hint for each residual block: what it returns is what it returned in the original.

    A block straight before one that left the network does the work of both, and what comes out of the second is
    compared. Blocks that cannot be compared place by place are left out. Where the user gave a teacher, none of its
    blocks need correspond to one of the model, and there are no hints.

    Args:
        model: made smaller from the original, under the same names.
        weight: of each; 0 for none.
        context: the original and its teacher.
    """
    if not weight or context.teacher is not context.original:
        return ()
    original = context.teaching
    program = capture(original, context.example, context.recipe.export)
    names = [block.name for block in find_blocks(original, program)]
    before, after = (_calls(network, names, context) for network in (original, model))
    left = [before[name].given for name in before if isinstance(model.get_submodule(name), Shortcut)]
    hints = (
        BlockHint(name, weight=weight)
        for name in names
        if name in before and name in after and not any(before[name].handed_on is given for given in left)
    )
    return tuple(hint for hint in hints if hint.fits(after[hint.student].handed_on, before[hint.source].handed_on))


def _calls(network: nn.Module, names: Sequence[str], context: Context) -> Mapping[str, BlockCall]:
    """The calls of the blocks that are called once, on a sample, by name; a module has one name here."""
    calls: dict[str, list[BlockCall]] = {}

    def hook_of(name: str) -> Any:
        def hook(_block: nn.Module, given: tuple[Any, ...], handed_on: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(handed_on, Tensor):
                calls.setdefault(name, []).append(BlockCall(given[0], handed_on))

        return hook

    handles = [part.register_forward_hook(hook_of(name)) for name, part in network.named_modules() if name in names]
    try:
        execute(network, context.example.sample(context.recipe.export.batch_size or 1).inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: found[0] for name, found in calls.items() if len(found) == 1}
