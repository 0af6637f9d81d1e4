"""Capture: a module becomes a program of ``torch.export``, with a dynamic batch dimension."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from edgecompress.data.batches import Batch, Batches
from edgecompress.errors import USER_CODE_FAILS, ModelError, RecipeError, first_line, plural
from edgecompress.modules.copies import frozen
from edgecompress.modules.near_inputs import near_inputs
from edgecompress.modules.shadowing import shadowing_folder
from edgecompress.recipe.tables import Export
from edgecompress.runtime import Network, execute, tensors
from edgecompress.system.quiet import quiet_torch


def check_runs(network: Network, batch: Batch, data: Batches | None = None) -> None:
    """Run the network twice on a batch, as the user would.

    Args:
        network: not modified.
        batch: to run it on.
        data: whose first batch that is; their labels are looked at where the network does not run.

    Raises:
        ModelError: it cannot run on that batch, or it answers differently the second time.
    """
    try:
        first, second = execute(network, batch.inputs), execute(network, batch.inputs)
    except USER_CODE_FAILS as error:
        given = ", ".join(f"{name} {value.dtype} {value.shape}" for name, value in batch.inputs.items())
        labels = batch.labels if data is None else data.first_labels()
        helps = near_inputs(network, batch.inputs, labels) or "give inputs as its forward takes them"
        raise ModelError(f"the model cannot run on the first batch ({given}): {first_line(error)}; {helps}") from error
    if not first:
        raise ModelError("the model returns no tensor; return a tensor, or a tuple or dict of tensors")
    if not all(np.isfinite(output).all() for output in first if output.dtype.kind == "f"):
        raise ModelError(f"the model's outputs on the first batch are not finite; {_of_the_weights(network)}")
    if any(a.shape != b.shape or (a != b).any() for a, b in zip(first, second, strict=True)):
        raise ModelError("the model answers differently to the same input; remove the randomness from its forward")


def _of_the_weights(network: Network) -> str:
    """What to check: the weights that are not finite themselves, or where the numbers come from."""
    wrong = list(_not_finite(network))
    if not wrong:
        return "check weights and preprocessing"
    listed = f"{', '.join(map(repr, wrong[:3]))}{', ...' * (len(wrong) > 3)}"
    return f"weights hold NaN or infinity: {listed}; take a checkpoint from before"


def _not_finite(network: Network) -> Iterator[str]:
    """The names of weights that are not finite; an infinite buffer may be a mask."""
    if isinstance(network, nn.Module):
        kept = network.named_buffers()
        parameters = {name: each for name, each in network.named_parameters() if each.is_floating_point()}
        buffers = {name: each for name, each in kept if each.is_floating_point() and each.layout == torch.strided}
        yield from (name for name, each in parameters.items() if not each.float().isfinite().all())
        yield from (name for name, each in buffers.items() if each.float().isnan().any())
    elif isinstance(network, ir.Model):
        constants = {name: value.const_value for name, value in network.graph.initializers.items()}
        arrays = {name: value.numpy() for name, value in constants.items() if value is not None}
        yield from (name for name, each in arrays.items() if each.dtype.kind == "f" and np.isnan(each).any())


def capture(module: nn.Module, batch: Batch, export: Export) -> ExportedProgram:
    """The program of a module in evaluation mode.

    Args:
        module: not modified.
        batch: an example; its values do not matter, its shapes do where they are not dynamic.
        export: fixes the batch dimension, or names further dynamic dimensions.

    Raises:
        ModelError: ``torch.export`` cannot capture it; the message has the user's own line.
        RecipeError: a dynamic axis that the inputs do not have.
    """
    _check_axes(batch, export)
    example = batch.sample(export.batch_size or max(batch.rows, 2))
    shapes = {name: _dynamic(name, example.axis(name), export) for name in example.inputs}
    try:
        with quiet_torch():
            return torch.export.export(frozen(module), (), tensors(example.inputs), dynamic_shapes=shapes)
    except USER_CODE_FAILS as error:
        raise ModelError(_explain(error)) from error


def _check_axes(batch: Batch, export: Export) -> None:
    for name, axes in export.dynamic_axes.items():
        if name not in batch.inputs:
            raise RecipeError(f"export.dynamic_axes names an input {name!r}; the inputs are {', '.join(batch.inputs)}")
        rank = batch.inputs[name].ndim
        for axis in axes:
            if int(axis) >= rank:
                raise RecipeError(
                    f"export.dynamic_axes.{name} names axis {axis}; {name!r} has {plural(rank, 'dimension')}"
                )


def _dynamic(name: str, batch_axis: int | None, export: Export) -> dict[int, Any]:
    # DYNAMIC lets PyTorch find the least size that the model works for; the names are given in the export.
    dynamic: dict[int, Any] = {int(axis): Dim.DYNAMIC for axis in export.dynamic_axes.get(name, {})}
    if export.batch_size is None and batch_axis is not None:
        dynamic[batch_axis] = Dim("batch")
    return dynamic


def _explain(error: BaseException) -> str:
    specialized = re.search(r"marked (\w+) as dynamic but your code specialized it to be a constant", str(error))
    if specialized and specialized[1] == "batch":
        return "the model works for one batch size only; set export.batch_size=1"
    if (folder := shadowing_folder(error)) is not None:
        return f"the folder {folder!r} is imported in the place of an installed module; rename it, or run elsewhere"
    fix = "write that part without what depends on values"
    return f"torch.export cannot capture the model: {first_line(error)}{_user_line(error)}; {fix}"


def _user_line(error: BaseException) -> str:
    """The innermost line of the traceback that is neither PyTorch's, a library's nor ours."""
    foreign = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), str(Path(__file__).parents[1]))
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*foreign, "<"))]
    if not own:
        return ""
    code = linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    return f" [{own[-1].filename}:{own[-1].lineno}: {code}]"
