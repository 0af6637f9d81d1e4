"""Arrays by the name of the input that takes them, and the axes along which they hold their samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = Mapping[str, Array]
Axes = Mapping[str, int]
"""The batch axis by input name: 0 where none is given, :data:`SHARED` where all samples share the input."""
SHARED = -1


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """What an exported model takes under one name; a dimension that is a text is dynamic."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...]

    def accepts(self, array: Array) -> bool:
        """Whether dtype, rank and every fixed dimension agree."""
        fixed = all(isinstance(want, str) or want == got for want, got in zip(self.shape, array.shape, strict=False))
        return fixed and array.dtype == self.dtype and array.ndim == len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join(map(str, self.shape))})"


def batch_sizes(shapes: Mapping[str, Sequence[Any]], axes: Axes) -> list[Any]:
    """The size along the batch axis of each input that has one.

    >>> batch_sizes({"x": (4, 10), "state": (2, 4), "rate": ()}, {"state": 1})
    [4, 4]
    """
    places = ((shape, axes.get(name, 0)) for name, shape in shapes.items())
    return [shape[axis] for shape, axis in places if 0 <= axis < len(shape)]


def fixed_rows(shapes: Mapping[str, Sequence[int | str | None]], axes: Axes) -> int | None:
    """The number of samples that every run takes; None where the batch dimension is dynamic, or there is none.

    >>> fixed_rows({"x": (4, 10)}, {})
    4
    """
    size = next(iter(batch_sizes(shapes, axes)), None)
    return size if isinstance(size, int) else None
