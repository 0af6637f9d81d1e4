"""The site: it builds without a warning, and what is written from the code is complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import edgecompress
from edgecompress.cli.app import app
from scripts.command_line_page import command_line_page, commands
from scripts.docstrings_as_markdown import as_markdown
from tests.documents.blocks import ROOT, blocks_of

PAGE = command_line_page()
COMMANDS = list(commands(typer.main.get_command(app), "edgecompress"))
TABS = ("python", "cpp", "kotlin", "swift", "javascript")


def test_the_site_builds_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text())
        assert loaded == [], page.name


def test_there_are_commands() -> None:
    assert {"edgecompress compress", "edgecompress targets recommend"} <= {path for path, _ in COMMANDS}


@pytest.mark.parametrize("path", [path for path, _ in COMMANDS])
def test_a_command_stands_on_the_page_with_all_its_options(path: str) -> None:
    command = dict(COMMANDS)[path]
    (section,) = re.findall(rf"^## {path}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    for parameter in command.params:
        for name in parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]:
            assert name.split("|")[0].strip() in section


@pytest.mark.parametrize("name", edgecompress.__all__)
def test_a_public_name_stands_on_the_page_of_python(name: str) -> None:
    assert f"::: edgecompress.{name}\n" in (ROOT / "docs" / "api.md").read_text()


@pytest.mark.parametrize("target", ["mobile", "edge", "realtime", "cloud"])
def test_a_target_has_a_page_with_all_languages(target: str) -> None:
    assert '--8<-- "docs/includes/on-device.md"' in (ROOT / "docs" / f"target-{target}.md").read_text()
    tabs = (ROOT / "docs" / "includes" / "on-device.md").read_text()
    deploying = (ROOT / "docs" / "deploying.md").read_text()
    for name in TABS:
        assert f'--8<-- "docs/deploying.md:{name}"' in tabs
        assert f"<!-- --8<-- [start:{name}] -->" in deploying


def test_there_are_fifteen_questions_each_with_a_block() -> None:
    page = ROOT / "docs" / "troubleshooting.md"
    questions = re.split(r"^## \d+\. ", page.read_text(), flags=re.MULTILINE)[1:]
    assert len(questions) == 15
    assert all("```" in question for question in questions)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_lines_for_a_browser_are_javascript(tmp_path: Path) -> None:
    (page,) = (block.text for block in blocks_of(ROOT / "docs" / "deploying.md") if block.language == "html")
    script = re.findall(r'<script type="module">\n(.*?)</script>', page, re.DOTALL)
    (tmp_path / "app.mjs").write_text(script[0])
    subprocess.run(["node", "--check", str(tmp_path / "app.mjs")], check=True, capture_output=True)


def test_roles_and_doctests_become_markdown() -> None:
    assert as_markdown("As :meth:`a.b` does.") == "As `a.b` does."
    assert as_markdown("One.\n\n>>> 1 + 1\n2\n\nTwo.") == "One.\n\n```python\n>>> 1 + 1\n2\n```\n\nTwo."
