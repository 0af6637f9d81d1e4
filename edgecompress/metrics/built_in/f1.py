"""F1 score: the harmonic mean of precision and recall, averaged over the classes, in percent."""

from __future__ import annotations

from edgecompress.metrics.confusion import MeanOverClasses, harmonic_mean


class F1(MeanOverClasses):
    """Each class counts alike, however rare; classes that neither are labels nor are answered do not count."""

    def __init__(self) -> None:
        super().__init__(harmonic_mean)


make = F1
