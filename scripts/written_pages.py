"""Pages whose text stands elsewhere too: ``python -m scripts.written_pages`` writes it into them, tests hold it there.

A page is read on the site and as a file. What another file says stands between two comments::

    <!-- written from FILE -->
    <!-- written up to here -->

FILE is a path in the repository. Of Markdown it is what stands between the marks of section ``body``, where it has
them; code is a block that has the file's name. The page on the command line is written whole.
"""

from __future__ import annotations

import re
from pathlib import Path

from scripts.command_line_page import command_line_page

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = {".py": "python"}
WRITTEN = re.compile(r"(<!-- written from (\S+) -->\n)(.*?)(<!-- written up to here -->\n)", re.DOTALL)
BODY = re.compile(r"<!-- --8<-- \[start:body\] -->\n(.*?)<!-- --8<-- \[end:body\] -->", re.DOTALL)


def written_pages() -> dict[Path, str]:
    """Each page that holds the text of other files, and what it should be."""
    pages = {page: page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))}
    found = {page: WRITTEN.sub(_written, text) for page, text in pages.items() if WRITTEN.search(text)}
    return {**found, ROOT / "docs" / "command-line.md": command_line_page()}


def own_text(text: str) -> str:
    """A page without what is written into it, each line of that left empty."""
    return WRITTEN.sub(lambda found: found[1] + "\n" * found[3].count("\n") + found[4], text)


def _written(found: re.Match[str]) -> str:
    source = ROOT / found[2]
    text = source.read_text()
    if source.suffix != ".md":
        text = f'```{LANGUAGES[source.suffix]} title="{source.name}"\n{text.rstrip()}\n```\n'
    elif (body := BODY.search(text)) is not None:
        text = body[1].strip() + "\n"
    return f"{found[1]}\n{text}\n{found[4]}"


def main() -> None:
    """Write the pages."""
    for page, text in written_pages().items():
        page.write_text(text)


if __name__ == "__main__":
    main()
