"""Mean intersection over union of the classes of a segmentation, in percent."""

from __future__ import annotations

import numpy as np

from edgecompress.metrics.accuracy import IGNORED_LABEL, Array


class MeanIoU:
    """Over all positions of all samples; classes that neither stand in the masks nor are answered do not count.

    255, which masks hold where nothing is known, does not count where it is no class of the network.
    """

    unit, higher_is_better, of_classes, ignores = "%", True, True, (255,)

    def __init__(self) -> None:
        self._pairs = np.zeros((1, 1), np.int64)

    def update(self, scores: Array, labels: Array, /) -> None:
        """Add scores of shape (rows, classes, ...) and class indices (rows, ...)."""
        counted, classes = labels != IGNORED_LABEL, scores.shape[1]
        pairs = labels[counted].astype(np.int64) * classes + scores.argmax(1)[counted]
        self._pairs = self._pairs + np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def compute(self) -> float:
        """The mean over the classes; NaN where nothing counted."""
        if not self._pairs.any():
            return float("nan")
        both = self._pairs.diagonal()
        either = self._pairs.sum(0) + self._pairs.sum(1) - both
        return float(100 * (both[either > 0] / either[either > 0]).mean())

    def reset(self) -> None:
        """Forget all batches."""
        self._pairs = np.zeros((1, 1), np.int64)


make = MeanIoU
