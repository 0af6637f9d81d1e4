"""What a compiler of fixed shapes asks of a model and its recipe, before any work is done for it."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.errors import ModelError, RecipeError
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, declared_shapes
from edgecompress.validation.elsewhere.places import handling_of, runtime_of


def require_fixed_shapes(network: Network, recipe: Recipe) -> None:
    """Require that only the batch is dynamic where ``validation.device`` names a runtime that compiles files.

    Args:
        network: an ONNX model says which of its dimensions are; a module takes what the data have.
        recipe: ``export.dynamic_axes`` makes others so.

    Raises:
        RecipeError: the recipe makes a dimension dynamic.
        ModelError: the model has another dynamic dimension than the batch.
    """
    device = recipe.validation.device
    if device is None or not handling_of(runtime_of(device)).fixed_shapes:
        return
    for name in recipe.export.dynamic_axes:
        raise RecipeError(
            f"'export.dynamic_axes.{name}' makes a dimension dynamic, and {device!r} takes fixed shapes; leave it out"
        )
    for name, shape in declared_shapes(network).items() if isinstance(network, ir.Model) else ():
        batch = shape[recipe.export.batch_axes.get(name, 0)] if shape else None
        others = [size for size in shape if not isinstance(size, int) and size != batch]
        if others:
            raise ModelError(
                f"input {name!r} of the model has the dynamic dimension {others[0]!r}, and {device!r} takes fixed"
                " shapes; export the model with a size in its place"
            )
