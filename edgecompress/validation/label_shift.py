"""Labels that are shifted by one class against what the model answers: then accuracy says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Array
from edgecompress.errors import DataError
from edgecompress.metrics.accuracy import class_axis

GUESSED, PROVEN = 1e-2, 1e-9
"""The chance that a model which answers without looking agrees with the labels as often: above the first it may be
one, below the second it is none."""
UNLIKELY = 1e-6
"""The chance that a class is never answered, below which that is told."""
SHIFTS = (-1, 0, 1)
OWN = SHIFTS.index(0)

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelShift:
    """How often a model answers a label's own class, the one before and the one after; the last is followed by 0.

    ``right`` counts these by shift, in the order of :data:`SHIFTS`; ``answers`` and ``labels``, int64 of shape
    (classes,), how often each class was answered and was a label.
    """

    right: Counts
    answers: Counts
    labels: Counts

    @classmethod
    def of(cls, scores: Array, labels: Array, axis: int | None = None) -> Self:
        """Counts over one batch: scores with the classes along the axis that the labels lack, or along ``axis``.

        Labels that are no class of the scores do not count.
        """
        axis = class_axis(scores.shape, labels.shape, axis=axis)
        classes = scores.shape[axis]
        counted = (labels >= 0) & (labels < classes)
        answers, wanted = scores.argmax(axis=axis)[counted], labels[counted].astype(np.int64)
        return cls(
            right=np.array([int((answers == (wanted + shift) % classes).sum()) for shift in SHIFTS]),
            answers=np.bincount(answers, minlength=classes),
            labels=np.bincount(wanted, minlength=classes),
        )

    def merge(self, other: LabelShift) -> LabelShift:
        """Both batches together."""
        return LabelShift(
            right=self.right + other.right,
            answers=self.answers + other.answers,
            labels=self.labels + other.labels,
        )

    @property
    def classes(self) -> int:
        """How many classes the model has."""
        return len(self.labels)

    @property
    def could_be_guessed(self) -> bool:
        """Whether guessing would do as well: within three standard deviations of a binomial's mean."""
        total, chance = int(self.labels.sum()), 1 / self.classes
        return total > 0 and int(self.right[OWN]) <= total * chance + 3 * sqrt(total * chance * (1 - chance))

    def silent(self, samples: int) -> tuple[int, ...]:
        """Classes that are never answered, as a model which is right as often would not leave them by chance.

        Args:
            samples: of the data; of the positions of one sample no more is known than of one of them.
        """
        total = max(int(self.labels.sum()), 1)
        wrong = 1 - int(self.right[OWN]) / total
        chances = wrong ** (self.labels * samples / total)
        found = np.flatnonzero((self.answers == 0) & (self.labels > 0) & (chances < UNLIKELY))
        return tuple(found.tolist())

    @property
    def percent(self) -> tuple[float, float, float]:
        """Accuracy against the labels under each shift, in percent."""
        before, own, after = (100 * self.right / max(self.labels.sum(), 1)).tolist()
        return before, own, after

    @property
    def proven(self) -> int:
        """The shift, -1 or 1, under which the labels fit the answers beyond doubt, as they do not now; 0 for none.

        Answers and labels that have nothing to do with each other agree as often as their frequencies alone make
        them. By Chernoff's bound, agreement in a share q of n samples where p is expected has a chance of at most
        exp(-n D(q || p)), D being the Kullback-Leibler divergence.
        """
        if self.chance(0) < GUESSED:
            return 0
        return min((-1, 1), key=self.chance) if min(map(self.chance, (-1, 1))) < PROVEN else 0

    def chance(self, shift: int) -> float:
        """The probability, at most, that as many answers fit the labels by chance.

        Args:
            shift: of the labels, in classes: -1, 0 or 1.
        """
        total, found = int(self.labels.sum()), int(self.right[SHIFTS.index(shift)])
        expected = float(self.answers @ np.roll(self.labels, shift)) / max(total, 1)
        return exp(-total * _divergence(found / total, expected / total)) if found > expected else 1.0


def _divergence(found: float, expected: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    terms = ((found, expected), (1 - found, 1 - expected))
    return sum(share * log(share / other) if other > 0 else inf for share, other in terms if share > 0)


def require_unshifted(shift: LabelShift, role: str) -> None:
    """Refuse labels that are shifted beyond doubt.

    Raises:
        DataError: no figure of accuracy would mean anything.
    """
    if not (proven := shift.proven):
        return
    before, own, after = shift.percent
    fit, way = (before, "lower") if proven < 0 else (after, "higher")
    raise DataError(
        f"the labels of the {role} data are shifted by one: the model is right on {own:.2f} % of them, and on"
        f" {fit:.2f} % of those that are 1 {way}; number the classes as the model does, from 0"
    )
