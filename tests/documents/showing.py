"""``console`` blocks: what a command prints is what the page shows, up to its numbers."""

from __future__ import annotations

import re

NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
SKIP = "..."
"""A line that stands for lines left out."""
PART = "[...]"
"""What stands for a part of a line."""


def conversations(text: str) -> list[tuple[str, list[str]]]:
    """Each ``$ command`` of a block with the lines that the page shows of its output."""
    joined = re.sub(r"\\\n\s*", "", text)
    found: list[tuple[str, list[str]]] = []
    for line in joined.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() and line.strip() != SKIP:
            found[-1][1].append(line)
    return found


def first_missing(shown: list[str], output: str) -> str | None:
    """The first line of those shown that the output has not, in this order; None where all are there."""
    lines = iter([_plain(line) for line in output.splitlines()])
    return next((line for line in shown if not any(_matches(line, each) for each in lines)), None)


def _matches(shown: str, line: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, _plain(shown).split(PART))), line) is not None


def _plain(line: str) -> str:
    """A line without what differs from run to run: its numbers, and the spaces that align them."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip()
