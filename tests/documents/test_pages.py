"""Every Python block and every shell block of the documentation runs, page by page, in order."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.documents.blocks import ROOT, RUN, Block, blocks_of, pages, prose_of
from tests.documents.commands import commands_of, run_command
from tests.documents.exported_once import exported_once
from tests.documents.showing import conversations, first_missing
from tests.documents.stage import build_stage, copy_stage, names_of_readme, on_stage, require

BLOCKS = [block for page in pages() for block in blocks_of(page)]
NOT_RUN = [block for block in BLOCKS if block.reason is not None]
WITH_NAMES = (ROOT / "README.md", ROOT / "docs" / "python.md")
"""Pages that call models and data by names, and say what these are."""
COMMANDS = ("edgecompress", "python", "pip", "make", "torchrun", "npm", "apt-get")


def _name(page: Path) -> str:
    return f"{page.parent.name}-{page.stem}" if page != ROOT / "README.md" else page.stem


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("stage")
    with exported_once():
        build_stage(folder)
        yield folder


@pytest.mark.filterwarnings("default")  # a user's Python shows warnings and goes on
@pytest.mark.parametrize("page", [page for page in pages() if any(block.runs for block in blocks_of(page))], ids=_name)
def test_the_blocks_of_a_page_run(page: Path, stage: Path, tmp_path: Path) -> None:
    copy_stage(stage, tmp_path, page)
    with on_stage(tmp_path):
        names: dict[str, Any] = {"__name__": page.stem, **(names_of_readme() if page in WITH_NAMES else {})}
        for block in blocks_of(page):
            if block.title is not None:
                Path(block.title).write_text(block.text)
            elif block.runs:
                _run(block, names)


def _run(block: Block, names: dict[str, Any]) -> None:
    if block.language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile("\n" * block.line + block.text, block.page, "exec"), names)
    elif block.language == "console":
        for command, shown in conversations(block.text):
            done = run_command(command)
            require(done, block.status)
            missing = first_missing(shown, done.output)
            assert missing is None, f"{block.where}: {command} does not print {missing!r} but\n{done.output}"
    else:
        for command in commands_of(block.text):
            require(run_command(command), block.status)


def test_what_is_not_run_says_why_and_is_little() -> None:
    for block in NOT_RUN:
        assert block.language in RUN, f"{block.where} would not be run anyway"
        assert len(str(block.reason).split()) >= 3, block.where
    assert len(NOT_RUN) <= 20


def test_a_block_says_its_language() -> None:
    assert [block.where for block in BLOCKS if not block.language] == []


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_commands_stand_in_blocks(page: Path) -> None:
    lines = prose_of(page.read_text())
    assert [line for line in lines if line.startswith("    ") and line.split()[0] in COMMANDS] == []
