"""``edgecompress report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgecompress.cli.tables import console, print_json


def run(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compress wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path("report.html"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and write no page.")] = False,
) -> int:
    """Write the report of a bundle as a page that this version draws, every hash of the bundle checked first."""
    from edgecompress.report import check_outside, read_report, write_page

    report = read_report(bundle)
    if as_json:
        print_json(report)
    else:
        check_outside(output, bundle)
        write_page(report, output)
        console().print(str(output), highlight=False, markup=False, soft_wrap=True)
    return 0
