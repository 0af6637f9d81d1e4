"""Peak signal-to-noise ratio of pictures in decibels, the mean over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgecompress.metrics.paired import paired
from edgecompress.metrics.sums import OfSums, Sums, share_of

BEST_DB = 100.0
"""Of a picture without any error; it would be infinite."""


class PeakSignalToNoise(OfSums):
    """The peak is 255 where the targets are integers and 1 where they are not; no picture counts more than 100 dB."""

    unit, higher_is_better = "dB", True

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch: pictures of any shape, and targets of the same, (rows, ...)."""
        peak = 255.0 if np.asarray(targets).dtype.kind in "iu" else 1.0
        pictures, wanted = (values.reshape(len(values), -1) for values in paired(outputs, targets))
        errors = ((pictures - wanted) ** 2).mean(1) / peak**2
        self._add(-10 * np.log10(np.maximum(errors, 10 ** (-BEST_DB / 10))), np.ones(len(errors)))

    def _values(self, sums: Sums) -> Sums:
        return share_of(sums[:, 0], sums[:, 1])


make = PeakSignalToNoise
