"""Variety: whether calibration data can tell the ranges that other data will need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.errors import plural

FEW = 10
"""Samples below which ranges are those of chance."""
ENOUGH = 100
"""Samples to ask for; other tools ask for 100 to 500."""


@dataclass(frozen=True, kw_only=True)
class Variety:
    """The first sample of every input that never varies, by its name, and the names of those that do."""

    still: dict[str, Array]
    varied: frozenset[str]

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Variety:
        """Inputs that have a row for each sample; read until each has varied, to the end where one never does."""
        first: dict[str, Array] = {}
        varied = set[str]()
        for batch in batches:
            rows = {name: array for name in batch.inputs if (array := _by_sample(batch, name)) is not None}
            for name, array in rows.items():
                sample = first.setdefault(name, array[0].copy())
                if array.shape[1:] != sample.shape or (array != sample).any():
                    varied.add(name)
            if first.keys() <= varied:
                break
        return cls(
            still={name: sample for name, sample in first.items() if name not in varied}, varied=frozenset(varied)
        )


def _by_sample(batch: Batch, name: str) -> Array | None:
    """An input with its samples first; a number that they share is that of each. None for other arrays they share."""
    array, axis = batch.inputs[name], batch.axis(name)
    if axis is not None:
        return np.moveaxis(array, axis, 0)
    return array.reshape(1) if array.size == 1 else None


def doubts_of_calibration(batches: Iterable[Batch], samples: int, *, judged_apart: bool) -> tuple[str, ...]:
    """Reasons why integers may not suit other data than those that they were fitted to, a line each.

    Args:
        batches: the calibration data.
        samples: how many there are.
        judged_apart: whether the artifact is measured on other data.
    """
    return (*_few(samples, judged_apart=judged_apart), *_still(Variety.of(batches), samples))


def _few(samples: int, *, judged_apart: bool) -> tuple[str, ...]:
    if samples >= FEW:
        return ()
    number = plural(samples, "sample")
    told = f"there is calibration data of {number} only: what others reach is cut off; give {ENOUGH} or more"
    return (told if judged_apart else f"{told}, and evaluation data (--evaluation): agreement is measured on the same",)


def _still(variety: Variety, samples: int) -> tuple[str, ...]:
    """Inputs that say nothing of others. A mask or token types may be the same for all: they count with the rest."""
    named = [
        f"{name!r}{'' if sample.any() else ' (all zeros)'}"
        for name, sample in variety.still.items()
        if (samples > 1 or not np.any(sample)) and (sample.dtype.kind == "f" or not variety.varied)
    ]
    if not named:
        return ()
    return (
        f"the calibration data never vary in {', '.join(named)}: the integers are fitted to that one value;"
        " give samples as the model will see them",
    )
