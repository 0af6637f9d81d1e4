"""What was read or heard against what is right: edits, and greedy CTC (Graves et al., 2006)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from edgecompress.arrays import Array
from edgecompress.errors import DataError, plural
from edgecompress.metrics.described import described
from edgecompress.metrics.sums import OfSums, Sums, share_of

BLANK = 0
"""The class of CTC that stands for nothing, PyTorch's."""
Symbols = Sequence[Hashable]


class ErrorRate(OfSums):
    """Edits of all samples over the symbols of all targets, in percent; more than 100 where most is inserted.

    Args:
        split: of a text into its symbols.
    """

    unit, higher_is_better = "%", False

    def __init__(self, split: Callable[[str], Symbols]) -> None:
        super().__init__()
        self._split = split

    def update(self, outputs: Any, targets: Any, /) -> None:
        """Add a batch.

        Args:
            outputs: a text for each sample; or class indices, in lists or (rows, steps); or scores (rows, steps,
                classes), which are read by greedy CTC.
            targets: a text for each sample, or class indices, those below 0 not counted.

        Raises:
            DataError: it is none of these, or texts stand against class indices.
        """
        found = outputs[0] if isinstance(outputs, tuple) else outputs
        if getattr(found, "ndim", 0) == 3:
            found = greedy_ctc(np.asarray(found))
        if len(found) != len(targets):
            raise DataError(
                f"{plural(len(found), 'transcript')} for {plural(len(targets), 'target')}; give one for each sample"
            )
        counts = []
        for own, wanted in zip(found, targets, strict=True):
            if isinstance(own, str) is not isinstance(wanted, str):
                raise DataError(
                    f"outputs are {described(own)} and targets {described(wanted)}; give texts of both, or class"
                    " indices of both (--postprocess makes texts of outputs)"
                )
            read, right = self._symbols(own), self._symbols(wanted)
            counts.append((edits(read, right), len(right)))
        self._add(np.array(counts, np.float64).reshape(-1, 2))

    def _values(self, sums: Sums) -> Sums:
        return share_of(100 * sums[:, 0], sums[:, 1])

    def _symbols(self, transcript: Any) -> Symbols:
        if isinstance(transcript, str):
            return self._split(transcript)
        indices = np.asarray(transcript)
        if indices.size and (indices.dtype.kind not in "iu" or indices.ndim != 1):
            raise DataError(
                f"a transcript is {described(transcript)}; give a text, class indices, or scores (rows, steps, classes)"
            )
        return indices[indices >= 0].tolist()  # type: ignore[no-any-return]


def greedy_ctc(scores: Array) -> list[list[int]]:
    """The class with the highest score at each step, runs of one class read once, the blank class 0 left out.

    Args:
        scores: (rows, steps, classes).

    >>> greedy_ctc(np.eye(3)[[[0, 1, 1, 0, 1, 2]]])
    [[1, 1, 2]]
    """
    best = scores.argmax(-1)
    first = np.ones_like(best, dtype=bool)
    first[:, 1:] = best[:, 1:] != best[:, :-1]
    return [row[kept].tolist() for row, kept in zip(best, first & (best != BLANK), strict=True)]


def edits(found: Symbols, wanted: Symbols) -> int:
    """Insertions, deletions and substitutions from one to the other, the fewest (Levenshtein).

    >>> edits("kitten", "sitting")
    3
    """
    numbers = {symbol: number for number, symbol in enumerate(dict.fromkeys([*found, *wanted]))}
    columns = np.array([numbers[symbol] for symbol in wanted], np.int64)
    places = np.arange(len(columns) + 1)
    row = places
    for symbol in found:
        changed = np.minimum(row[1:] + 1, row[:-1] + (columns != numbers[symbol]))
        row = np.minimum.accumulate(np.concatenate([row[:1] + 1, changed]) - places) + places
    return int(row[-1])
