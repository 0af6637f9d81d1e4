"""The report of a bundle that is there already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from edgecompress.bundle.reading import read_bundle
from edgecompress.errors import OutputError
from edgecompress.report.page import render
from edgecompress.system.durable import replacing


def read_report(bundle: Path) -> dict[str, Any]:
    """``report.json`` of a bundle; every file of the bundle is checked first.

    Raises:
        OutputError: it is no bundle, of a newer format, changed, or without a report.
    """
    read_bundle(bundle)
    try:
        report = json.loads((bundle / "report.json").read_text())
        if not isinstance(report, dict):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise OutputError(f"{str(bundle)!r} has no report.json that can be read; compress again") from None
    return report


def check_outside(file: Path, bundle: Path, option: str = "--output") -> None:
    """Refuse a file that would lie in the bundle: another byte there, and it is no longer what it was.

    Raises:
        OutputError: it would.
    """
    if file.resolve().is_relative_to(bundle.resolve()):
        raise OutputError(f"{str(file)!r} lies in the bundle, which must not change; choose another {option}")


def write_page(report: Mapping[str, Any], file: Path) -> None:
    """Write the page of a report.

    Raises:
        OutputError: the report is of another version, or the file cannot be written.
    """
    try:
        page = render(report)
    except (UndefinedError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError):
        version = report.get("edgecompress_version", "another version")
        raise OutputError(
            f"the report is of edgecompress {version}, and this one draws others; compress again"
        ) from None
    try:
        with replacing(file) as stream:
            stream.write(page.encode())
    except OSError as error:
        raise OutputError(f"{str(file)!r} cannot be written: {error.strerror}; choose another --output") from error
