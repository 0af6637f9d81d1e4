"""``edgecompress log``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecompress.cli.signals import kept_notes
from edgecompress.cli.tables import console, print_json
from edgecompress.errors import plural

if TYPE_CHECKING:
    from edgecompress.report.tracking import LoggedRun


def run(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compress wrote.")],
    mlflow: Annotated[str, typer.Option(metavar="URI", help="MLflow's server: http://HOST:PORT, or its database.")],
    experiment: Annotated[str, typer.Option(metavar="NAME", help="Made if there is none.")] = "edgecompress",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the run; by default the folder's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was logged as JSON.")] = False,
) -> int:
    """Log a bundle to MLflow as a run: parameters, metrics and its files, every hash checked first."""
    from rich.console import Console

    from edgecompress.progress import progress_for
    from edgecompress.report.tracking import log_bundle

    progress = progress_for(Console(stderr=True))
    with kept_notes():
        found = log_bundle(bundle, mlflow, experiment=experiment, run_name=name, progress=progress)
    _print(found, as_json=as_json)
    return 0


def _print(found: LoggedRun, *, as_json: bool) -> None:
    if as_json:
        print_json(found.document)
        return
    record = found.record
    counts = [(record.parameters, "parameter"), (record.measures, "metric"), (record.files, "file")]
    lines = [
        f"logged: {', '.join(plural(len(entries), noun) for entries, noun in counts)}",
        f"experiment: {found.experiment}",
        f"run: {found.run_name}, {found.run_id}",
        *([] if found.url is None else [found.url]),
    ]
    for line in lines:
        console().print(line, highlight=False, markup=False, soft_wrap=True)
