"""The code blocks of a page, as they stand there."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from scripts.written_pages import own_text

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = ("python", "sh", "console")
"""Languages that are run; a block with a title is a file instead."""

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)(?P<rest>.*)$")
TITLE = re.compile(r'title="([^"]+)"')
REASON = re.compile(r"<!-- not run: (.+?) -->")
STATUS = re.compile(r"<!-- exit status: (\d+) -->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it stands, what it holds, and what the lines above it say of it."""

    page: str
    line: int
    language: str
    text: str
    title: str | None = None
    reason: str | None = None
    status: int | None = None

    @property
    def where(self) -> str:
        """The page and the line of the fence."""
        return f"{self.page}:{self.line}"

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return self.language in RUN and self.title is None and self.reason is None


def pages() -> list[Path]:
    """README, the documentation, and the pages of the examples."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")), *sorted((ROOT / "examples").glob("*/*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order, without those that stand in another file, too."""
    return read_blocks(own_text(page.read_text()), str(page.relative_to(ROOT)))


def read_blocks(text: str, page: str) -> list[Block]:
    """The fenced blocks of a text.

    Raises:
        ValueError: a fence is not closed.
    """
    lines, blocks, at = text.splitlines(), [], 0
    while at < len(lines):
        opening = FENCE.match(lines[at])
        if opening is None:
            at += 1
            continue
        closing = f"{opening['indent']}```"
        try:
            end = lines.index(closing, at + 1)
        except ValueError:
            raise ValueError(f"{page}:{at + 1}: the fence is not closed") from None
        title, above = TITLE.search(opening["rest"]), _comments_above(lines, at)
        reason, status = REASON.search(above), STATUS.search(above)
        block = Block(
            page=page,
            line=at + 1,
            language=opening["language"],
            text=textwrap.dedent("\n".join([*lines[at + 1 : end], ""])),
            title=title[1] if title else None,
            reason=reason[1] if reason else None,
            status=int(status[1]) if status else None,
        )
        blocks.append(block)
        at = end + 1
    return blocks


def prose_of(text: str) -> list[str]:
    """The lines outside of fences."""
    inside, lines = False, []
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def _comments_above(lines: list[str], at: int) -> str:
    """The lines of comments right above a line, with at most one empty line between."""
    found: list[str] = []
    for line in reversed(lines[:at]):
        if line.strip() and not line.strip().startswith("<!--"):
            break
        found.append(line)
    return "\n".join(found[:3])
