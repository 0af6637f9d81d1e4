"""The batch axes of a model's inputs: found by running it on one, two and three samples, or as the recipe says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from torch import nn

from edgecompress.arrays import Array, Axes, Inputs, fixed_rows
from edgecompress.data.batch_axes import UNNAMED, Shape, covered, possible_axes, require_axes
from edgecompress.data.batches import Batch, Batches, Source
from edgecompress.errors import USER_CODE_FAILS, RecipeError, plural
from edgecompress.modules.copies import copied
from edgecompress.modules.named_inputs import input_names
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import ALL_CORES, Network, declared_shapes, execute, open_session, run_session
from edgecompress.system.quiet import quiet_torch

Run = Callable[[Inputs], list[Array]]
MOST_ROWS = 3
"""Samples in the largest run: a dimension that merely is 1 or 2, or broadcasts, does not follow them all."""
TOLERANCE = 1e-3
"""Tolerance as a share of the largest value: kernels for other batch sizes add in another order."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A network, and a recipe whose ``export`` says where the batch lies in its inputs, and whether it is fixed."""

    network: Network
    recipe: Recipe


def settle_batch(
    network: Network, source: Source, role: str, recipe: Recipe, warn: Callable[[str], None] = lambda _: None
) -> Settled:
    """Find along which axis each input holds the samples of a batch.

    An ONNX file or a program declares which dimensions are dynamic; those that share a name go together. Of the ways
    that are left, the right one is that in which the outputs of several samples are those of each, put together. Where
    the model takes no other number of samples than the data have, that number becomes fixed.

    Args:
        network: not modified; its inputs have names.
        source: data; only the first batch is read.
        role: of the data.
        recipe: ``export.batch_axes`` settles what it names.
        warn: told of a batch that became fixed.

    Returns:
        The network, whose declared batch dimension is fixed where no other number of samples runs; and the recipe, with
        every batch axis that is not 0.

    Raises:
        DataError: the first batch is malformed.
        RecipeError: ``export.batch_axes`` names an input or an axis that is not there, or not the batch's.
    """
    asked, declared = recipe.export.batch_axes, declared_shapes(network)
    batch = Batches(role=role, source=source, inputs=input_names(network), use_labels=False).first()
    require_axes(asked, batch.inputs)
    ways = _ways(batch, declared, asked)
    if not ways:
        return Settled(network=network, recipe=recipe)
    likeliest = ways[0][0]
    if fixed_rows(declared, likeliest.axes):
        return Settled(network=network, recipe=_with_axes(recipe, likeliest))
    run = _runner(network)
    found = _found(ways, run)
    if found is None and asked:
        _require_no_other(_found(_ways(batch, declared, {}), run), asked)
    if found is None and not recipe.export.batch_size and _outputs(run, [batch]) is not None:
        return _fixed(network, _with_axes(recipe, likeliest), likeliest, warn)
    settled = _with_axes(recipe, found or likeliest)
    return Settled(network=_as_asked(network, settled, found or likeliest), recipe=settled)


def _as_asked(network: Network, recipe: Recipe, batch: Batch) -> Network:
    """An ONNX model that declares the batch size of the recipe, where that has one; anything else as it is."""
    rows = recipe.export.batch_size
    return declaring(network, batch.sample(rows)) if rows and isinstance(network, ir.Model) else network


def _ways(batch: Batch, declared: Mapping[str, Shape], asked: Axes) -> list[list[Batch]]:
    return [[replace(batch, axes=way) for way in alike] for alike in possible_axes(batch.inputs, declared, asked)]


def _require_no_other(found: Batch | None, asked: Axes) -> None:
    """Refuse axes that the recipe names where the model takes samples along others, and not along these."""
    for name, axis in asked.items():
        if found is not None and found.axes[name] != axis:
            raise RecipeError(
                f"export.batch_axes.{name} is {axis}, where the model takes one number of samples only; the samples of"
                f" {name!r} lie along axis {found.axes[name]}"
            )


def _runner(network: Network) -> Run:
    """A way to run a network again and again."""
    if isinstance(network, ir.Model):
        session = open_session(network, ALL_CORES, background=True)
        return lambda inputs: run_session(session, inputs)
    if isinstance(network, nn.Module):
        network = copied(network).eval()
    return lambda inputs: execute(network, inputs)


def _found(ways: Sequence[Sequence[Batch]], run: Run) -> Batch | None:
    """The first way in which samples do not depend on each other; else the first of the likeliest that runs; or None.

    Samples that mix, as in a contrastive loss, are samples still: to cut fewer inputs is no better reading then.
    """
    mixed: Batch | None = None
    for place, alike in enumerate(ways):
        ran: Batch | None = None
        for batch in alike:
            if ran is not None and covered(batch.axes) < covered(ran.axes):
                break
            independent = _are_independent(batch, run)
            if independent:
                return batch
            ran = batch if ran is None and independent is not None else ran
        mixed = ran if place == 0 else mixed
    return mixed


def _are_independent(batch: Batch, run: Run) -> bool | None:
    """Whether the outputs of several samples are those of each, put together; None where several do not run."""
    three = batch.sample(MOST_ROWS)
    outputs = _outputs(run, [three, three.slice(0, 2), *(three.slice(row, row + 1) for row in range(MOST_ROWS))])
    if outputs is None:
        return None
    if len({len(arrays) for arrays in outputs}) > 1:
        return False
    return all(_put_together(of_three, of_two, single) for of_three, of_two, *single in zip(*outputs, strict=True))


def _outputs(run: Run, batches: Iterable[Batch]) -> list[list[Array]] | None:
    try:
        with quiet_torch():
            return [run(batch.inputs) for batch in batches]
    except USER_CODE_FAILS:
        return None


def _put_together(of_three: Array, of_two: Array, single: Sequence[Array]) -> bool:
    """Whether an output of two and of three samples is made of those of each along one axis, or always the same."""
    if len({array.shape for array in single}) > 1:
        return False
    if all(_close(array, single[0]) for array in (of_three, of_two, *single)):
        return True
    return any(
        _close(of_two, np.concatenate(single[:2], axis)) and _close(of_three, np.concatenate(single, axis))
        for axis in range(single[0].ndim)
    )


def _close(left: Array, right: Array) -> bool:
    if left.shape != right.shape or left.dtype.kind != "f":
        return np.array_equal(left, right)
    largest = float(np.abs(right).max(initial=0))
    if not np.isfinite(largest):
        return np.array_equal(left, right, equal_nan=True)
    return bool(np.allclose(left, right, rtol=0, atol=TOLERANCE * largest))


def _with_axes(recipe: Recipe, batch: Batch) -> Recipe:
    """The recipe with the batch axes that were found; one that is 0 need not be said."""
    axes = {name: axis for name, axis in batch.axes.items() if axis != 0 and batch.inputs[name].ndim}
    return _exporting(recipe, batch_axes={**recipe.export.batch_axes, **axes})


def _exporting(recipe: Recipe, **values: Any) -> Recipe:
    return recipe.model_copy(update={"export": recipe.export.model_copy(update=values)})


def _fixed(network: Network, recipe: Recipe, batch: Batch, warn: Callable[[str], None]) -> Settled:
    """The batch as it is, for no other one runs."""
    rows = batch.rows
    told = "one sample" if rows == 1 else plural(rows, "sample")
    warn(f"the model takes {told} at a time, and no other number; the batch is fixed at {rows}")
    declared = declaring(network, batch) if isinstance(network, ir.Model) else network
    return Settled(network=declared, recipe=_exporting(recipe, batch_size=rows))


def declaring(model: ir.Model, batch: Batch) -> ir.Model:
    """The model with the number of samples of a batch in the place of its dynamic batch dimension."""
    fixed = model.clone()
    axes = {name: axis for name in batch.inputs if (axis := batch.axis(name)) is not None}
    declared = declared_shapes(model)
    symbols = {declared[name][axis] for name, axis in axes.items()} - {UNNAMED}
    for value in [*fixed.graph.inputs, *(output for node in fixed.graph for output in node.outputs)]:
        if value.shape is not None:
            axis = axes.get(str(value.name)) if value.is_graph_input() else None
            value.shape = ir.Shape(
                [
                    batch.rows if place == axis or _name_of(size) in symbols else size
                    for place, size in enumerate(value.shape)
                ]
            )
    return fixed


def _name_of(size: int | ir.SymbolicDim) -> str | None:
    return None if isinstance(size, int) else str(size.value)
