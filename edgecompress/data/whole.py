"""Data that are whole arrays, or a list of single samples, in the place of batches: they are cut, or put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgecompress.arrays import Axes
from edgecompress.data.datasets import Loaded
from edgecompress.errors import DataError
from edgecompress.metrics.targets import is_array


def as_batches(given: Any, *, role: str, rows: int, axes: Axes) -> Any:
    """Batches of what holds all samples at once; anything else as it is.

    An array holds them along its first dimension. So do the arrays of a dict, and those of a tuple where they are
    equally long and have different numbers of dimensions: images and their labels. A list of ``(input, number)`` holds
    single samples.

    Args:
        given: what the data are.
        role: of the data.
        rows: samples to a batch.
        axes: along which axis the arrays of a dict hold their samples, where that is not the first.

    Raises:
        DataError: arrays hold different numbers of samples, or none.
    """
    if is_whole(given):
        return cut(given, rows, axes, f"the {role} data")
    return Loaded(given, role=role, rows=rows) if _are_samples(given) else given


def is_whole(given: Any) -> bool:
    """Whether it is an array of all samples, or a dict or a tuple of such."""
    if is_array(given):
        return bool(len(given.shape))
    if isinstance(given, Mapping):
        return bool(given) and all(map(is_array, given.values()))
    if not isinstance(given, tuple) or len(given) < 2 or not all(is_array(part) and len(part.shape) for part in given):
        return False
    lengths, ranks = {len(part) for part in given}, [len(part.shape) for part in given]
    return len(lengths) == 1 and len(set(ranks)) == len(ranks)


def _are_samples(given: Any) -> bool:
    """Whether it is a list of pairs whose second part is a plain number, which no batch has as its labels."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        return False
    first = given[0]
    return isinstance(first, (tuple, list)) and len(first) > 1 and is_array(first[0]) and type(first[1]) in (int, float)


def cut(given: Any, rows: int, axes: Axes, where: str) -> list[Any]:
    """Batches of some rows, in the same form: views of arrays, a tuple or a dict of them.

    Args:
        given: what :func:`is_whole` found to be so.
        rows: samples to a batch.
        axes: along which axis the arrays of a dict hold their samples, where that is not the first.
        where: the beginning of a message.

    Raises:
        DataError: arrays hold different numbers of samples, or none.
    """
    named = given if isinstance(given, Mapping) else {}
    parts = named or dict(enumerate(given if isinstance(given, tuple) else [given]))
    places = {name: axes.get(str(name), 0) for name in parts}
    counts = {n: part.shape[places[n]] for n, part in parts.items() if 0 <= places[n] < len(part.shape)}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise DataError(
            f"{where}: arrays need the same first dimension, not {counts}; save one row for each sample, or name"
            " the axis that holds the samples (export.batch_axes.NAME)"
        )
    samples = next(iter(counts.values()))
    batches = []
    for start in range(0, samples, rows):
        taken = {n: _taken(part, places[n], start, rows) if n in counts else part for n, part in parts.items()}
        batches.append(taken if named else tuple(taken.values()) if isinstance(given, tuple) else taken[0])
    return batches


def _taken(part: Any, axis: int, start: int, rows: int) -> Any:
    return part[(slice(None),) * axis + (slice(start, start + rows),)]
