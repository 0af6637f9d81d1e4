"""Values and their targets, brought to one shape: for metrics of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.errors import DataError, a_kind
from edgecompress.metrics.targets import is_numbers

Numbers = NDArray[np.float64]


def paired(outputs: Any, targets: Any) -> tuple[Numbers, Numbers]:
    """The first output and the targets in float64, of one shape; dimensions of size 1 may be missing in either.

    Raises:
        DataError: the targets have another shape, or are no array of numbers.

    >>> [array.shape for array in paired(np.zeros((8, 1)), np.zeros(8))]
    [(8, 1), (8, 1)]
    """
    values = outputs[0] if isinstance(outputs, tuple) else outputs
    values, targets = _numbers(values, "outputs"), _numbers(targets, "targets")
    if np.squeeze(values).shape != np.squeeze(targets).shape:
        raise DataError(
            f"targets of shape {targets.shape} do not fit outputs of shape {values.shape}; give a target for each value"
        )
    return values.astype(np.float64), targets.reshape(values.shape).astype(np.float64)


def _numbers(given: Any, what: str) -> Array:
    """An array, also where numbers stand in lists."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # lists of unequal lengths
        array = np.asarray(None)
    if not is_numbers(array):
        raise DataError(f"{what} are {a_kind(given)} that is no array of numbers; give a number for each value")
    return array


class MeanOf:
    """The mean of a function of values and targets, over all batches.

    Args:
        function: from values and targets of one shape to the array that the mean is of.
    """

    def __init__(self, function: Callable[[Numbers, Numbers], Numbers]) -> None:
        self._function = function
        self.reset()

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch: numbers of any shape, and targets of the same."""
        each = self._function(*paired(outputs, targets))
        self._sum += float(each.sum())
        self._count += each.size

    def compute(self) -> float:
        """The mean; NaN of nothing."""
        return self._sum / self._count if self._count else float("nan")

    def reset(self) -> None:
        """Forget all batches."""
        self._sum, self._count = 0.0, 0
