"""Word error rate: edits of words over the words of the targets, in percent; with greedy CTC of scores."""

from __future__ import annotations

from edgecompress.metrics.transcripts import ErrorRate


class WordErrorRate(ErrorRate):
    """Words of a text stand between blanks; where outputs are class indices, or scores of CTC, each is a word."""

    def __init__(self) -> None:
        super().__init__(str.split)


make = WordErrorRate
