"""Mean Dice score of the classes of a segmentation: twice the intersection over the sum of both areas, in percent."""

from __future__ import annotations

from edgecompress.metrics.confusion import MeanOverClasses, harmonic_mean


class Dice(MeanOverClasses):
    """Over all positions of all samples; classes that neither stand in the masks nor are answered do not count.

    255, which masks hold where nothing is known, does not count where it is no class of the network.
    """

    ignores = (255,)

    def __init__(self) -> None:
        super().__init__(harmonic_mean)


make = Dice
