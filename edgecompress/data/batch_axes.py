"""Batch axes: the ways in which the axes of a model's inputs could hold its samples, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from edgecompress.arrays import SHARED, Array, Axes, batch_sizes
from edgecompress.errors import RecipeError, plural

Shape = tuple[int | str, ...]
UNNAMED = "None"
"""Text that stands for a dynamic dimension without a name."""
NAMED_BATCH = re.compile(r"(.*[^a-z])?(batch|bs|n)([^a-z].*|[_ ]?size)?", re.IGNORECASE)
"""Names of dimensions that say that they count samples."""
MOST = 32
"""Ways that are tried for one number of samples."""


def require_axes(asked: Axes, inputs: Mapping[str, Array]) -> None:
    """Hold the axes that a recipe names against the inputs.

    Raises:
        RecipeError: an input or an axis is not there, or the axes have different sizes.
    """
    for name, axis in asked.items():
        if name not in inputs:
            raise RecipeError(f"export.batch_axes names an input {name!r}; the inputs are {', '.join(inputs)}")
        if axis >= inputs[name].ndim:
            raise RecipeError(
                f"export.batch_axes.{name} names axis {axis}; {name!r} has {plural(inputs[name].ndim, 'dimension')}"
            )
    sizes = {name: inputs[name].shape[axis] for name, axis in asked.items() if axis >= 0}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise RecipeError(f"export.batch_axes names axes of different sizes ({told}); all hold the samples of a batch")


def batch_symbols(declared: Mapping[str, Shape]) -> list[str]:
    """The names of dynamic dimensions, the likeliest batch first: one that says so, then the first of the first input.

    >>> batch_symbols({"x": ("time", "batch", 40), "h": (2, "batch", 64)})
    ['batch', 'time']
    """
    sizes = dict.fromkeys(size for shape in declared.values() for size in shape)
    names = [size for size in sizes if isinstance(size, str) and size != UNNAMED]
    return sorted(names, key=lambda name: NAMED_BATCH.fullmatch(name) is None)


def possible_axes(inputs: Mapping[str, Array], declared: Mapping[str, Shape], asked: Axes) -> Iterator[list[Axes]]:
    """Possible batch axes for each possible number of samples; those that split more inputs come first.

    An input that is not cut is :data:`~edgecompress.data.batches.SHARED`. A dynamic dimension that all inputs with such
    ones share by its name comes before what only has the size; where one is dynamic,
    those that are fixed hold no samples.

    Args:
        inputs: a batch.
        declared: the shapes that the model declares for them; nothing for a module.
        asked: what the recipe settles.
    """
    shapes = {name: array.shape for name, array in inputs.items()}
    dynamic = {name for name, shape in declared.items() if any(isinstance(size, str) for size in shape)}
    for symbol in batch_symbols(declared):
        places = {name: _places(declared.get(name, ()), symbol)[:1] for name in shapes}
        if all(places[name] for name in dynamic & places.keys()):
            yield from _ways(shapes, places, asked)
    for rows in _row_counts(shapes, asked):
        places = {
            name: [axis for axis in _places(shape, rows) if not dynamic or isinstance(declared[name][axis], str)]
            for name, shape in shapes.items()
        }
        yield from _ways(shapes, places, asked)


def _places(shape: Sequence[int | str], size: int | str) -> list[int]:
    return [axis for axis, length in enumerate(shape) if length == size]


def _row_counts(shapes: Mapping[str, tuple[int, ...]], asked: Axes) -> list[int]:
    """Possible numbers of samples: every size of a dimension, the leading one of the first input first."""
    if settled := batch_sizes({name: shapes[name] for name in asked}, asked):
        return settled[:1]
    return list(dict.fromkeys(size for shape in shapes.values() for size in shape))


def _ways(
    shapes: Mapping[str, tuple[int, ...]], places: Mapping[str, Sequence[int]], asked: Axes
) -> Iterator[list[Axes]]:
    """Every choice of a place, or of none, for each input; inputs of one shape are cut alike."""
    kinds = list(dict.fromkeys((shapes[name], tuple(places[name]), asked.get(name)) for name in shapes))
    choices = [[settled] if settled is not None else [*found, SHARED] for _, found, settled in kinds]
    ways = []
    for choice in islice(product(*choices), MOST):
        chosen = dict(zip(kinds, choice, strict=True))
        ways.append({name: chosen[shapes[name], tuple(places[name]), asked.get(name)] for name in shapes})
    ways.sort(key=covered, reverse=True)
    if ways and covered(ways[0]):
        yield [way for way in ways if covered(way)]


def covered(way: Axes) -> int:
    """Number of inputs that have a batch axis."""
    return sum(axis >= 0 for axis in way.values())
