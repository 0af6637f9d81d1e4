"""State of a calibration: values that add up exactly, part by part, and that a file can hold.

The two passes have a record each. A :class:`Survey` holds extents; a :class:`Calibration` holds the histograms over
the extents of one survey. Parts over disjoint batches merge to what one pass over all of them gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from edgecompress.arrays import Array
from edgecompress.calibration.histogram import Extent, Histogram
from edgecompress.calibration.observer import Statistics
from edgecompress.calibration.sample_ends import SampleEnds
from edgecompress.data.batches import Batch
from edgecompress.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What tells a batch from another: its rows, and the SHA-256 of its inputs."""

    rows: int
    sha256: str

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """The mark of a batch."""
        hasher = hashlib.sha256()
        batch.update(hasher)
        return cls(rows=batch.rows, sha256=hasher.hexdigest())


Marks = Mapping[int, Mark]
"""Marks by the index of the batch in the data."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The first pass: extents and sample ends by tensor, and the batches that were read for them.

    ``complete`` once they are all the batches that there are.
    """

    extents: Mapping[str, Extent] = field(default_factory=dict)
    ends: Mapping[str, SampleEnds] = field(default_factory=dict)
    batches: Marks = field(default_factory=dict)
    complete: bool = False

    def add(self, values: Mapping[str, Array], samples: int) -> Survey:
        """Survey with the tensors of another run added, each tensor divided evenly among them along its first axis.

        Raises:
            DataError: a tensor is not finite.
        """
        extents, ends = dict(self.extents), dict(self.ends)
        for name, array in values.items():
            if array.size == 0:
                continue
            lows, highs = (reduce(array.reshape(samples, -1), axis=1) for reduce in (np.min, np.max))
            extent = Extent(low=float(lows.min()), high=float(highs.max()))
            if not (np.isfinite(extent.low) and np.isfinite(extent.high)):
                raise DataError(
                    f"tensor {name!r} of the float model is not finite on the calibration data; take the samples out"
                    " that it overflows on, or repair the model"
                )
            extents[name] = extents[name].merge(extent) if name in extents else extent
            found = SampleEnds.of(lows, highs)
            ends[name] = ends[name].merge(found) if name in ends else found
        return replace(self, extents=extents, ends=ends)

    def merge(self, other: Survey) -> Survey:
        """The survey of the batches of both.

        Raises:
            DataError: a batch is in both.
        """
        batches = _disjoint(self.batches, other.batches)
        extents, ends = dict(self.extents), dict(self.ends)
        for name, extent in other.extents.items():
            extents[name] = extents[name].merge(extent) if name in extents else extent
            ends[name] = ends[name].merge(other.ends[name]) if name in ends else other.ends[name]
        return Survey(extents=extents, ends=ends, batches=batches)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The second pass: a histogram for each tensor over the extents of a survey, and the batches counted in it.

    ``model`` is the SHA-256 of the network and of the tensors that are watched in it.
    """

    model: str
    survey: Survey
    histograms: Mapping[str, Histogram]
    counted: Marks = field(default_factory=dict)

    @classmethod
    def over(cls, survey: Survey, model: str) -> Self:
        """Histograms over the extents of a survey that have counted nothing."""
        empty = {name: Histogram.empty(extent) for name, extent in survey.extents.items()}
        return cls(model=model, survey=survey, histograms=empty)

    @property
    def samples(self) -> int:
        """The number of samples of the survey."""
        return sum(mark.rows for mark in self.survey.batches.values())

    @property
    def counted_samples(self) -> int:
        """The number of samples in the histograms."""
        return sum(mark.rows for mark in self.counted.values())

    @property
    def complete(self) -> bool:
        """Whether every batch is in both passes."""
        return self.survey.complete and self.counted.keys() == self.survey.batches.keys()

    @property
    def digest(self) -> str:
        """SHA-256 over those of the batches in their order; which worker read which does not matter."""
        hasher = hashlib.sha256()
        for _, mark in sorted(self.survey.batches.items()):
            hasher.update(bytes.fromhex(mark.sha256))
        return hasher.hexdigest()

    def statistics(self, name: str) -> Statistics:
        """What an observer reads of one tensor."""
        return Statistics(histogram=self.histograms[name], ends=self.survey.ends[name])

    def add(self, values: Mapping[str, Array], pool: Executor) -> Calibration:
        """Calibration with the tensors of another run counted, each by a thread of ``pool``."""
        names = [name for name in values if name in self.histograms]
        counted = pool.map(lambda name: self.histograms[name].add(values[name]), names)
        return replace(self, histograms={**self.histograms, **dict(zip(names, counted, strict=True))})

    def merge(self, other: Calibration) -> Calibration:
        """The sum of two countings of disjoint batches over one survey.

        Raises:
            DataError: they watch other tensors, lie over other extents, or share a batch.
        """
        if (self.model, self.survey) != (other.model, other.survey):
            raise DataError("the calibrations are of different models or surveys; merge the surveys first, then count")
        counted = _disjoint(self.counted, other.counted)
        histograms = {name: histogram.merge(other.histograms[name]) for name, histogram in self.histograms.items()}
        return replace(self, histograms=histograms, counted=counted)


def _disjoint(own: Marks, other: Marks) -> Marks:
    shared = sorted(own.keys() & other.keys())
    if shared:
        raise DataError(f"batch {shared[0]} is in both parts of the calibration; give each batch to one of them")
    return {**own, **other}
