"""Progress that keeps what the user is warned of."""

from __future__ import annotations

from edgecompress.progress import Progress


class Heard(Progress):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, line: str) -> None:
        self.lines.append(line)
