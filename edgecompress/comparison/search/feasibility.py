"""Budgets that no recipe of a space can keep, known before anything is tried."""

from __future__ import annotations

import math
from hashlib import sha256

import onnx_ir as ir

from edgecompress.comparison.search.space import Space
from edgecompress.errors import RecipeError
from edgecompress.recipe.quantities import shortest
from edgecompress.units import kilobytes

SMALLER = ("pruning", "low_rank", "distillation")
"""Techniques after which a network has fewer weights."""
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose second input are weights, which no other step takes away: an element of them has a byte at least."""


def can_shrink(space: Space) -> bool:
    """Whether a recipe of the space takes weights away, so that little is known of its size."""
    bold = space.profile_of(space.settings(lambda choice: choice.values[0]))
    kept = {*bold.recipe.techniques, *space.profile.recipe.techniques}
    return any(name in kept for name in SMALLER)


def require_room(space: Space, original: ir.Model, original_bytes: int) -> None:
    """See that integers can be as small as the budgets ask, where nothing else makes the network smaller.

    Args:
        space: the recipes; none takes weights away.
        original: the float model.
        original_bytes: of its file.

    Raises:
        RecipeError: a budget leaves no recipe; it is named.
    """
    budgets, least = space.profile.recipe.budgets, least_bytes(original)
    told = f"the weights alone have {kilobytes(least)} as INT8, and nothing of this space takes some away"
    if budgets.max_size_mb is not None and least > budgets.max_size_mb * 1e6:
        raise RecipeError(
            f"no recipe keeps budgets.max_size_mb={shortest(budgets.max_size_mb)}: {told}; set"
            f" budgets.max_size_mb={shortest(math.ceil(least / 1e3) / 1e3)} or more, or give a module with training"
            " data (--train)"
        )
    ratio = budgets.min_compression_ratio
    if ratio is not None and least > original_bytes / ratio:
        raise RecipeError(
            f"no recipe keeps budgets.min_compression_ratio={shortest(ratio)}: {told}; set"
            f" budgets.min_compression_ratio={shortest(math.floor(10 * original_bytes / least) / 10)} or less, or give"
            " a module with training data (--train)"
        )


def least_bytes(original: ir.Model) -> int:
    """The bytes of the weights of products, each element as one: what every INT8 file of the model has at least.

    Weights that are equal count once, as the file holds them.
    """
    values = {node.inputs[1] for node in original.graph.all_nodes() if node.op_type in PRODUCTS}
    weights = [value.const_value for value in values if value is not None and value.const_value is not None]
    contents = {
        (weight.dtype, tuple(weight.shape.numpy()), sha256(weight.tobytes()).digest()): weight for weight in weights
    }
    return sum(weight.size for weight in contents.values())
