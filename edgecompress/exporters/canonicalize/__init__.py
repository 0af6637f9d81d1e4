"""Rewrites that change no value but let ONNX Runtime find an integer kernel, or spare it work.

Each is a pass of its own, a function from a model to a new one with the changes in words; the argument
is not modified. They run in an order in which each makes room for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.exporters.canonicalize.attention_scales import fold_attention_scales
from edgecompress.exporters.canonicalize.batch_norms import convolve_batch_norms
from edgecompress.exporters.canonicalize.channel_factors import fold_channel_factors
from edgecompress.exporters.canonicalize.channel_shuffles import gather_channels
from edgecompress.exporters.canonicalize.fixed_gathers import flatten_gathers
from edgecompress.exporters.canonicalize.free_names import free_names
from edgecompress.exporters.canonicalize.hard_swish import unfold_hard_swish
from edgecompress.exporters.canonicalize.masks import drop_masks
from edgecompress.exporters.canonicalize.merge_transposes import merge_transposes
from edgecompress.exporters.canonicalize.pad_shortcuts import convolve_pad_shortcuts
from edgecompress.exporters.canonicalize.pool_means import pool_means
from edgecompress.exporters.canonicalize.prelus import convolve_prelus
from edgecompress.exporters.canonicalize.products import weigh_products
from edgecompress.exporters.canonicalize.sink_transposes import sink_transposes
from edgecompress.exporters.canonicalize.softmax_axes import turn_softmax
from edgecompress.exporters.canonicalize.split_biases import hoist_biases
from edgecompress.exporters.canonicalize.up_convolutions import flatten_up_convolutions
from edgecompress.step import StepResult

__all__ = ["canonicalize", "prepare_for_integers"]

PASSES = (
    free_names,
    flatten_gathers,
    turn_softmax,
    merge_transposes,
    gather_channels,
    sink_transposes,
    fold_channel_factors,
    hoist_biases,
    fold_attention_scales,
    drop_masks,
    pool_means,
    convolve_pad_shortcuts,
    convolve_prelus,
)
FOR_INTEGERS = (weigh_products, unfold_hard_swish, flatten_up_convolutions, convolve_batch_norms)
"""What costs a float model nothing, but helps it no more."""


def canonicalize(model: ir.Model) -> StepResult[ir.Model]:
    """All passes in order that make the float model lighter, too.

    Nodes without a name get one, since the later steps go by names.
    """
    return _run(model, PASSES)


def prepare_for_integers(model: ir.Model) -> StepResult[ir.Model]:
    """All passes in order, for a model that is quantized next."""
    return _run(model, (*PASSES, *FOR_INTEGERS))


def _run(model: ir.Model, chosen: Sequence[Callable[[ir.Model], StepResult[ir.Model]]]) -> StepResult[ir.Model]:
    rewritten = model.clone()
    passes.NameFixPass()(rewritten)
    changes: list[str] = []
    for run in chosen:
        _infer_shapes(rewritten)
        result = run(rewritten)
        rewritten = result.model
        changes += result.changes
    passes.RemoveUnusedNodesPass()(rewritten)
    return StepResult(model=rewritten, changes=tuple(changes))


def _infer_shapes(model: ir.Model) -> None:
    """Shapes anew, where an earlier inference made up a symbol that a rewrite may have settled since."""
    for node in model.graph:
        for value in node.outputs:
            if not value.is_graph_output() and any(_is_made_up(size) for size in value.shape or ()):
                value.shape = None
    passes.ShapeInferencePass()(model)


def _is_made_up(size: int | ir.SymbolicDim) -> bool:
    return not isinstance(size, int) and (size.value is None or size.value.startswith("unk__"))
