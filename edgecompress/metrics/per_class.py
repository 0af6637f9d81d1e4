"""The value of each class, where a metric has one: a mean over the classes hides what became of one of them.

A metric may have ``per_class()``, which gives a dict from a class to its value, or an array of a value for each class.
Metrics of torchmetrics with ``average="none"`` compute such an array; their value is its mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecompress.arrays import Array

NO_MEAN = (None, "none")
"""What torchmetrics calls an average that is left to others."""


def given_by_class(metric: Any) -> Any:
    """What a metric gives of its classes, in whatever form; an empty dict where it says nothing of them."""
    if callable(method := getattr(metric, "per_class", None)):
        return method()
    return metric.compute() if _leaves_the_mean(metric) else {}


def named_classes(given: Any) -> dict[str, float] | None:
    """The value of each class by its name, in the order that they were given; None where they are something else.

    Classes of an array are called by their indices. A class whose value is NaN does not count.

    >>> named_classes({"cat": 1, "dog": math.nan, 3.0: 0.5}), named_classes([0.25, 0.5]), named_classes(0.5)
    ({'cat': 1.0, '3': 0.5}, {'0': 0.25, '1': 0.5}, None)
    """
    if isinstance(given, Mapping):
        names, values = list(map(_name, given)), _vector(list(given.values()))
    else:
        values = _vector(given)
        names = [] if values is None else list(map(str, range(len(values))))
    if values is None or np.isinf(values).any():
        return None
    return {name: value for name, value in zip(names, values.tolist(), strict=True) if not math.isnan(value)}


def mean_of_classes(metric: Any, computed: Any) -> Any:
    """What a metric computed; where that is a value for each class, as it was told to give, their mean.

    >>> class Each:
    ...     average = "none"
    >>> float(mean_of_classes(Each(), np.array([1.0, np.nan, 0.5]))), mean_of_classes(Each(), 0.5)
    (0.75, 0.5)
    """
    values = _vector(computed) if _leaves_the_mean(metric) else None
    if values is None:
        return computed
    counted = values[~np.isnan(values)]
    return counted.mean() if counted.size else math.nan


def _leaves_the_mean(metric: Any) -> bool:
    return getattr(metric, "average", "") in NO_MEAN


def _vector(given: Any) -> Array | None:
    """An array of one dimension, of numbers; None for anything else."""
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError, RuntimeError):
        return None
    return values if values.ndim == 1 else None


def _name(label: Any) -> str:
    """What a class is called; an index is told as one, also where it is a float."""
    number = label.item() if hasattr(label, "item") else label
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)
