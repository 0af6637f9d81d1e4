"""Targets: what data give in addition to the inputs, in whatever form a metric or a loss takes it.

- An array or a tensor holds its samples along the first dimension.
- A list has an entry for each sample: a dict of boxes, a mask of its own size, a text, whatever.
- A dict or a tuple has parts that are any of these, such as one array of boxes and one of classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import DataError, a_kind, plural

NUMBERS = "fiub"
"""NumPy's letters of the dtypes of numbers."""


def is_numbers(targets: Any) -> TypeGuard[Array]:
    """Whether they are one array of numbers."""
    return isinstance(targets, np.ndarray) and targets.dtype.kind in NUMBERS


def is_array(part: Any) -> bool:
    """Whether it is an array or a tensor, of any type."""
    return hasattr(part, "shape") and hasattr(part, "dtype") and hasattr(part, "__getitem__")


def samples_of(targets: Any) -> int:
    """The number of samples of targets that :func:`require_samples` found right.

    >>> samples_of(np.zeros((3, 4))), samples_of(["a", "b"]), samples_of({"boxes": np.zeros((5, 2, 4))})
    (3, 2, 5)
    """
    return next((len(part) for _, part in _parts(targets)), 0)


def require_samples(targets: Any, rows: int, where: str) -> None:
    """Require targets for each sample of a batch.

    Args:
        targets: in any form.
        rows: the number of samples.
        where: the beginning of a message.

    Raises:
        DataError: there are more or fewer, a sample has none, or a part has no samples.
    """
    parts = list(_parts(targets))
    if not parts:
        raise DataError(f"{where}: targets are an empty {type(targets).__name__}; give one for each sample, or none")
    for place, part in parts:
        if not is_array(part) and not isinstance(part, list):
            raise DataError(
                f"{where}: targets{place} are {a_kind(part)}; give a list with an entry for each sample, or an"
                " array whose first dimension is the samples"
            )
        if is_array(part) and part.shape[:1] != (rows,):
            raise DataError(
                f"{where} has {plural(rows, 'sample')} but targets{place} of shape {tuple(part.shape)};"
                " give each its own"
            )
        if len(part) != rows:
            raise DataError(
                f"{where} has {plural(rows, 'sample')} but {plural(len(part), 'target')}{place}; give each its own"
            )
        missing = None if is_array(part) else next((row for row, entry in enumerate(part) if entry is None), None)
        if missing is not None:
            raise DataError(f"{where}: sample {missing} has no target{place}; give one for each sample, or none at all")


def cut(targets: Any, index: slice | np.ndarray[Any, np.dtype[np.intp]]) -> Any:
    """The targets of some samples, in the same form.

    >>> cut({"boxes": np.arange(3), "names": ["a", "b", "c"]}, slice(1, 3))
    {'boxes': array([1, 2]), 'names': ['b', 'c']}
    """
    if isinstance(targets, list):
        return targets[index] if isinstance(index, slice) else [targets[row] for row in index]
    if isinstance(targets, Mapping):
        return {name: cut(part, index) for name, part in targets.items()}
    if isinstance(targets, tuple):
        parts = [cut(part, index) for part in targets]
        return type(targets)(*parts) if hasattr(targets, "_fields") else tuple(parts)
    return targets[index]


def _parts(targets: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """What holds the samples, with its place among the parts: ``['boxes']``."""
    if isinstance(targets, Mapping):
        named = list(targets.items())
    elif isinstance(targets, tuple):
        named = list(enumerate(targets))
    else:
        yield place, targets
        return
    for name, part in named:
        yield from _parts(part, f"{place}[{name!r}]")
