"""Fewer residual blocks: what takes most time off a network whose layers are narrow already."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from edgecompress.pruning.blocks import Block, remove_blocks
from edgecompress.pruning.channels.sensitivity import output_noise
from edgecompress.runtime import execute
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import as_artifact, examine_network, free_blocks, samples_of, time_models
from edgecompress.techniques.figures import costs
from edgecompress.training import reestimate_batch_norm
from edgecompress.training.distributed import from_first


def shallower(module: nn.Module, context: Context) -> nn.Module:
    """The network without the share of its residual blocks that ``pruning.blocks`` names.

    Raises:
        RecipeError: there is no block that could go.
    """
    share = context.recipe.pruning.blocks
    if not share:
        return module
    blocks = least_noise_first(module, samples_of(context), context)
    if not blocks:
        protected = " besides those that 'pruning.protect' names" if context.recipe.pruning.protect else ""
        raise RecipeError(f"the model has no residual block that could go{protected}; set pruning.blocks=0")
    return remove_blocks(module, blocks[: round(share * len(blocks))])


def least_noise_first(module: nn.Module, samples: Sequence[Batch], context: Context) -> list[Block]:
    """The residual blocks that may go, first those without which the outputs change least."""
    blocks, _ = free_blocks(examine_network(module, context), context.recipe.pruning.protect)

    def measure() -> list[int]:
        expected = [execute(module, batch.inputs) for batch in samples]
        tracked = context.progress.track(blocks, "leaving each block out in turn", "block")
        noise = [_noise(remove_blocks(module, [block]), samples, expected) for block in tracked]
        return sorted(range(len(blocks)), key=noise.__getitem__)

    return [blocks[place] for place in from_first(measure)]


def share_gone(before: nn.Module, after: nn.Module, context: Context) -> float:
    """What a smaller network saves already of what ``pruning.goal`` counts, 0 to 1; channels count anew in it."""
    goal = context.recipe.pruning.goal
    if after is before or goal == "channels":
        return 0.0
    if goal == "latency":
        whole, left = (
            latency.median_ms
            for latency in time_models([as_artifact(model, context) for model in (before, after)], context)
        )
        return max(1 - left / whole, 0.0)
    old, new = (float(costs("", model, context)[f"_{goal}"]) for model in (before, after))
    return 1 - new / old


def _noise(shallow: nn.Module, samples: Sequence[Batch], expected: Sequence[Sequence[Array]]) -> float:
    """How far a network without a block is from the whole one before it learns anything."""
    return output_noise(reestimate_batch_norm(shallow, samples, Progress()), samples, expected)
