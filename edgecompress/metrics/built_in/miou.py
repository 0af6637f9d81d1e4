"""Mean intersection over union of the classes of a segmentation, in percent."""

from __future__ import annotations

from edgecompress.metrics.confusion import MeanOverClasses
from edgecompress.metrics.sums import Sums


class MeanIoU(MeanOverClasses):
    """Over all positions of all samples; classes that neither stand in the masks nor are answered do not count.

    255, which masks hold where nothing is known, does not count where it is no class of the network.
    """

    ignores = (255,)

    def __init__(self) -> None:
        super().__init__(_intersection_over_union)


def _intersection_over_union(right: Sums, answered: Sums, labels: Sums) -> tuple[Sums, Sums]:
    return right, answered + labels - right


make = MeanIoU
