"""Pages are whole as files, and what is written into them is what its own file says."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.written_pages import own_text, written_pages
from tests.documents.blocks import ROOT, blocks_of, read_blocks

WRITTEN = written_pages()
FEWEST_LINES = 10
"""Of a page that says something."""


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_a_page_says_what_its_sources_say(page: Path) -> None:
    assert page.read_text() == WRITTEN[page], "run python -m scripts.written_pages"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_every_page_can_be_read_as_a_file(page: Path) -> None:
    if page.stem != "api":  # docstrings, which stand in the code
        lines = page.read_text().splitlines()
        said = [line for line in lines if line and not line.startswith(("--8<--", "<!--", "#"))]
        assert len(said) >= FEWEST_LINES


def test_blocks_that_stand_in_another_file_are_run_there_only() -> None:
    page = ROOT / "docs" / "tutorial-text.md"
    written = read_blocks(page.read_text(), "tutorial")
    assert any(block.runs for block in written)
    assert not any(block.runs for block in blocks_of(page))
    assert len(own_text(page.read_text()).splitlines()) == len(page.read_text().splitlines())
