"""Values and their targets, brought to one shape: for metrics of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.errors import DataError, a_kind
from edgecompress.metrics.sums import OfSums, Sums, share_of
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


class MeanOf(OfSums):
    """The mean of a function of values and targets, over all batches.

    Args:
        function: from values and targets of one shape (rows, ...) to the array that the mean is of, (rows, ...).
    """

    def __init__(self, function: Callable[[Numbers, Numbers], Numbers]) -> None:
        super().__init__()
        self._function = function

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch: numbers of any shape, and targets of the same."""
        each = np.atleast_1d(self._function(*paired(outputs, targets)))
        each = each.reshape(len(each), -1)
        self._add(each.sum(1), np.full(len(each), each.shape[1]))

    def _values(self, sums: Sums) -> Sums:
        return share_of(sums[:, 0], sums[:, 1])
