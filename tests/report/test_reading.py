"""The report of a bundle is read only where the bundle is whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import edgecompress
from edgecompress.bundle.manifest import dump_manifest, parse_manifest
from edgecompress.errors import OutputError
from edgecompress.report import check_outside, read_report, write_page
from tests.exporters.bundles import write_bundle
from tests.networks import ConvNet, images, seeded


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("reading") / "bundle"
    options = ["quantization.enabled=false", "export.simplify=false", "export.formats=[]"]
    return edgecompress.compress(seeded(ConvNet), calibration=images(), output=output, overrides=options).path


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def test_the_page_is_drawn_again_as_it_was(bundle: Path, tmp_path: Path) -> None:
    write_page(read_report(bundle), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (bundle / "report.html").read_bytes()


def test_a_file_that_is_missing_is_named(bundle: Path) -> None:
    (bundle / "selftest.npz").unlink()
    with pytest.raises(OutputError, match=r"selftest\.npz"):
        read_report(bundle)


def test_a_file_that_was_changed_is_named(bundle: Path) -> None:
    (bundle / "report.json").write_text("{}")
    with pytest.raises(OutputError, match=r"report\.json"):
        read_report(bundle)


def test_a_newer_format_is_refused(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    newer = parse_manifest((bundle / "manifest.json").read_bytes()).model_copy(update={"format_version": 2})
    assert manifest["format_version"] == 1
    (bundle / "manifest.json").write_bytes(dump_manifest(newer))
    with pytest.raises(OutputError, match="format"):
        read_report(bundle)


def test_a_report_of_another_version_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^the report is of edgecompress 0\.0\.1, .* compress again$"):
        write_page({"edgecompress_version": "0.0.1"}, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_is_one_line(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=r"^'.*page\.html' cannot be written: No such file or directory; choose another --output$"
    ):
        write_page(read_report(bundle), tmp_path / "missing" / "page.html")


def test_a_page_in_the_bundle_is_refused(bundle: Path) -> None:
    for place in ("report.html", "deeper/page.html"):
        with pytest.raises(OutputError, match=r"lies in the bundle, .* choose another --output"):
            check_outside(bundle / place, bundle)
    check_outside(bundle.parent / "report.html", bundle)


@pytest.mark.parametrize("content", [b"null", b"[" * 100_000])
def test_a_report_that_is_no_table_is_refused(content: bytes, tmp_path: Path) -> None:
    made = write_bundle(tmp_path / "bundle", {"report.json": content})
    with pytest.raises(OutputError, match=r"has no report\.json that can be read; compress again$"):
        read_report(made.path)
