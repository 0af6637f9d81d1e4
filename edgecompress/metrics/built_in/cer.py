"""Character error rate: edits over the characters of the targets, in percent; with greedy CTC of scores."""

from __future__ import annotations

from edgecompress.metrics.transcripts import ErrorRate


class CharacterErrorRate(ErrorRate):
    """Blanks at both ends of a text do not count; where outputs are class indices, each is a character."""

    def __init__(self) -> None:
        super().__init__(str.strip)


make = CharacterErrorRate
