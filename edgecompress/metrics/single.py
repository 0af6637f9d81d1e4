"""One sample of what a metric is given, and the value of a metric of that sample."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgecompress.errors import InputError
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.outputs import Outputs
from edgecompress.metrics.running import Running
from edgecompress.metrics.targets import cut, is_array


def sample_of(given: Any, row: int, rows: int) -> Any:
    """A sample of outputs or targets in the form that a batch of one would have; None where it cannot be told apart.

    >>> sample_of(["a", "b"], 1, 2), sample_of({"boxes": np.arange(3)}, 2, 3), sample_of(np.arange(3), 0, 2)
    (['b'], {'boxes': array([2])}, None)
    """
    if not _holds(given, rows):
        return None
    found = cut(given, slice(row, row + 1))
    return Outputs(found, given.names) if isinstance(given, Outputs) else found


def bare(sample: Any) -> Any:
    """The sample itself, out of its batch of one.

    >>> bare(["b"]), bare({"boxes": np.array([2])}), bare((np.zeros((1, 2)),))
    ('b', {'boxes': np.int64(2)}, (array([0., 0.]),))
    """
    if isinstance(sample, Mapping):
        return {name: bare(part) for name, part in sample.items()}
    return tuple(map(bare, sample)) if isinstance(sample, tuple) else sample[0]


def value_of(measure: Measure, given: Any, targets: Any) -> float | None:
    """The value of a sample; None where the metric cannot say a finite one.

    Args:
        measure: what is measured.
        given: the sample's outputs as the metric is given them, postprocessed, classes along axis 1.
        targets: of the sample.
    """
    running = Running(replace(measure, postprocess=None))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return known_value(running) if add_sample(running, given, targets) else None


def add_sample(running: Running, given: Any, targets: Any) -> bool:
    """Whether a metric could be given a sample, as :func:`value_of` takes it."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            running.update([given], targets, "a sample", 1)
    except InputError:
        return False
    return True


def known_value(running: Running) -> float | None:
    """The value of a metric so far; None where it cannot say a finite one."""
    try:
        return running.value
    except InputError:
        return None


def _holds(given: Any, rows: int) -> bool:
    """Whether it, or each part of it, has an entry for each sample."""
    if isinstance(given, Mapping):
        return bool(given) and all(_holds(part, rows) for part in given.values())
    if isinstance(given, tuple):
        return bool(given) and all(_holds(part, rows) for part in given)
    return len(given) == rows if isinstance(given, list) else is_array(given) and tuple(given.shape[:1]) == (rows,)
