"""The page in a browser: nothing on the console, nothing leaves it, and charts have words."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import edgecompress
from edgecompress.validation.elsewhere.runtimes.browser import FLAGS, program
from tests.networks import ConvNet, images, seeded

MOST_BYTES = 3_000_000
HOMES = re.compile(r"https?://[^/]*\.(google\.com|googleapis\.com|gvt1\.com)/")
"""What a Chromium calls by itself, whatever page it shows."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a network that flips some of its answers."""
    output = tmp_path_factory.mktemp("page") / "bundle"
    coarse = (
        *("quantization.observer=percentile", "quantization.percentile=60", "quantization.fallback_evaluations=0"),
        "export.simplify=false",
    )
    network, evaluation = seeded(ConvNet), images(rows=64, seed=1)
    bundle = edgecompress.compress(
        network, calibration=images(), evaluation=evaluation, output=output, overrides=coarse
    )
    return bundle.path / "report.html"


def _visit(page: Path, folder: Path) -> tuple[list[str], set[str]]:
    """What a page writes to the console, and the addresses that it asks for."""
    name = program()
    if name is None:
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    log = folder / "net.json"
    rights = ["--no-sandbox"] if os.geteuid() == 0 else []
    flags = [flag for flag in FLAGS if not flag.startswith("--remote-debugging")]
    command = [name, *flags, *rights, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr"]
    visit = [*command, f"--log-net-log={log}", "--dump-dom", page.absolute().as_uri()]
    done = subprocess.run(visit, capture_output=True, text=True, timeout=60, check=True)
    events = json.loads(log.read_text())["events"]
    asked = {str(event.get("params", {}).get("url", "")) for event in events}
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return console, {url for url in asked if url.startswith(("http", "ws")) and not HOMES.match(url)}


def test_it_is_silent_and_asks_for_nothing(page: Path, tmp_path: Path) -> None:
    assert _visit(page, tmp_path) == ([], set())
    assert page.stat().st_size < MOST_BYTES


def test_a_page_that_is_neither_would_be_found_out(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<script>console.error("boom")</script><img src="http://127.0.0.1:9/x.png">')
    console, asked = _visit(bad, tmp_path)
    assert "boom" in console[0]
    assert asked == {"http://127.0.0.1:9/x.png"}


class _Pictures(HTMLParser):
    """The text alternatives of charts and images."""

    def __init__(self) -> None:
        super().__init__()
        self.charts: list[str | None] = []
        self.images: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg":
            assert dict(attrs)["role"] == "img"
            self.charts.append(dict(attrs).get("aria-label"))
        if tag == "img":
            assert str(dict(attrs)["src"]).startswith("data:image/")
            self.images.append(dict(attrs).get("alt"))


def test_every_chart_and_every_thumbnail_has_words(page: Path) -> None:
    pictures = _Pictures()
    pictures.feed(page.read_text())
    assert len(pictures.charts) >= 5
    assert pictures.images
    assert all(pictures.charts + pictures.images)
