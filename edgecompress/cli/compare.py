"""``edgecompress compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import Data, Evaluation, Loss, Metric, Model, Postprocess, Train, Weights
from edgecompress.cli.tables import console, print_json, print_table, prints_aside
from edgecompress.errors import plural
from edgecompress.metrics.metric import DEFAULT
from edgecompress.units import metric as metric_text
from edgecompress.units import metric_title, percent

if TYPE_CHECKING:
    from edgecompress.comparison import Comparison
    from edgecompress.comparison.measured import Measured


def run(
    model: Model,
    calibration: Annotated[str, typer.Option(metavar="DATA", help=Data)],
    evaluation: Evaluation = None,
    train: Train = None,
    weights: Weights = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    loss: Loss = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[ROW:]KEY=VALUE",
            autocompletion=completion.assignments,
            help="Override a key of every recipe, or of one row's.",
        ),
    ] = None,
    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", metavar="FILE", help="A recipe of your own, as a row called as the file; repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the table and its bundles.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> int:
    """Compress a model in every way and print the table; what was measured before is not measured again."""
    from edgecompress.api.compare import compare
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    aside = Console(stderr=True)
    with prints_aside(as_json):
        comparison = in_options(compare)(
            model,
            calibration=calibration,
            evaluation=evaluation,
            train=train,
            weights=weights,
            output=output,
            overrides=assignments or [],
            recipes=recipes or [],
            metric=metric,
            postprocess=postprocess,
            loss=loss,
            progress=progress_for(aside),
            tell=lambda row: aside.print(f"{row.title}: {told_of(row)}", highlight=False, markup=False),
        )
    if as_json:
        print_json(comparison.document())
    else:
        print_comparison(comparison)
    return 0


def told_of(row: Measured) -> str:
    """What is known of a row before all are timed."""
    if row.missing is not None or row.compression_ratio is None:
        return row.missing or ""
    if row.metric == DEFAULT:
        measured = "" if row.accuracy is None else f", {percent(row.accuracy)} top-1"
    else:
        value = "" if row.metric_value is None else f" {metric_text(row.metric_value, row.metric_unit)}"
        measured = f", {metric_title(row.metric)}{value}" if value else ""
    return f"{row.compression_ratio:.2f}x smaller{measured}"


def print_comparison(comparison: Comparison) -> None:
    """The table, then why rows are missing, and where all of it is."""
    from edgecompress.comparison.tables import DOUBTED, cells, headings

    out = console()
    titles = ["ratio" if heading == "smaller" else heading for heading in headings(comparison.rows)]
    print_table(titles, [_narrow(cells(row), row) for row in comparison.rows if row.missing is None])
    out.print()
    if any(row.metric_verdict in DOUBTED for row in comparison.rows):
        out.print("drop: none or open where its 95 % interval, which comparison.md has, holds 0", style="dim")
    for row in comparison.rows:
        for remark in row.remarks:
            out.print(f"{row.title}: {remark}", style="yellow", highlight=False, markup=False)
    titles_by_key = {row.key: row.title for row in comparison.rows}
    if comparison.front:
        front = ", ".join(titles_by_key[key] for key in comparison.front)
        out.print(f"not beaten in metric, latency and size: {front}", highlight=False, markup=False)
    kept = len(comparison.rows) - len(comparison.fresh)
    told = f"{kept} of {plural(len(comparison.rows), 'row')} kept from before; " if kept else ""
    out.print(f"{told}table and bundles: {comparison.folder}", highlight=False, markup=False, soft_wrap=True)


def _narrow(cells: list[str], row: Measured) -> list[str]:
    """The cells with the interval's ends as close to the speedup as 80 columns want them, and none at the drop."""
    from edgecompress.comparison.tables import HEADINGS, factor, short_drop

    place = HEADINGS.index("speedup")
    timing = row.timing
    said = "" if timing is None else factor(timing)
    bounded = timing is not None and timing.low < timing.high and said.endswith("x")
    speedup = f"{said} {timing.low:.2f}-{timing.high:.2f}" if timing is not None and bounded else said
    return [*cells[:place], speedup, *cells[place + 1 : -1], short_drop(row)]
