"""The samples to which a new bundle answers otherwise than the old one, by index and by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgecompress.validation.scores import Scores

MOST_LISTED = 1000
"""Samples that are listed, the worst first; all are counted."""


@dataclass(frozen=True, kw_only=True)
class ChangedAnswer:
    """A sample, by its place in the data, and what the old and the new bundle answer.

    ``sample`` is the name of its file, where it has one. Of classes ``label``, ``old`` and ``new`` are their indices,
    and ``certainty`` is how much more probable the old artifact found its own class than the new one's, 0 to 1. Of
    other answers ``old`` and ``new`` are the values of the metric for this sample by itself, None where it has none,
    and ``sqnr_db`` is how well the outputs agree.
    """

    index: int
    sample: str | None
    label: int | None
    old: float | None
    new: float | None
    certainty: float | None = None
    sqnr_db: float | None = None


@dataclass(frozen=True, kw_only=True)
class ChangedAnswers:
    """Counts of the samples that changed, and the worst of them.

    ``of_classes`` says whether answers are a class for each sample: all that changed are counted then; ``lost`` were
    right before, ``won`` are right now, ``other`` neither, as without labels. Of other answers the first 500 samples
    are looked at: by the metric ``lost`` are worse and ``won`` better, and ``other`` have no value. ``classes`` are the
    names of the classes, where these are known.
    """

    of_classes: bool
    samples: int
    lost: int
    won: int
    other: int
    listed: tuple[ChangedAnswer, ...]
    classes: tuple[str, ...] = ()

    @property
    def changed(self) -> int | None:
        """How many samples changed; None of other answers, which all differ a little."""
        return self.lost + self.won + self.other if self.of_classes else None

    def called(self, index: float | None) -> str:
        """What a class is called."""
        if index is None:
            return "-"
        place = int(index)
        return self.classes[place] if 0 <= place < len(self.classes) else str(place)

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        counts = {name: getattr(self, name) for name in ("of_classes", "samples", "changed", "lost", "won", "other")}
        return {**counts, "classes": list(self.classes), "listed": [asdict(answer) for answer in self.listed]}


def changed_answers(scores: Scores, names: Sequence[str] = (), classes: Sequence[str] = ()) -> ChangedAnswers:
    """What a pass over the data says of the answers of its first and its last model.

    Args:
        scores: of a pass that kept examples.
        names: of all samples in their order; empty where they have none.
        classes: names of the classes by their indices; empty where they have none.
    """

    def named(index: int) -> str | None:
        return names[index] if index < len(names) else None

    flips, changes = scores.flips, scores.changes
    if flips.samples:
        listed = [
            ChangedAnswer(
                index=flip.index,
                sample=named(flip.index),
                label=flip.label,
                old=flip.before,
                new=flip.after,
                certainty=flip.certainty,
            )
            for flip in flips.examples
        ]
        counts = (flips.samples, flips.lost, flips.won, flips.other)
    else:
        listed = [
            ChangedAnswer(
                index=change.index,
                sample=named(change.index),
                label=None,
                old=change.value_before,
                new=change.value_after,
                sqnr_db=change.sqnr_db,
            )
            for change in changes.examples
        ]
        counts = (changes.samples, changes.lost, changes.won, changes.unvalued)
    samples, lost, won, other = counts
    return ChangedAnswers(
        of_classes=bool(flips.samples),
        samples=samples,
        lost=lost,
        won=won,
        other=other,
        listed=tuple(listed),
        classes=tuple(classes) if flips.samples else (),
    )
