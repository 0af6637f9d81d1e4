"""``edgecompress search``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import Assignments, Data, Evaluation, Loss, Metric, Postprocess, Train, Weights
from edgecompress.cli.tables import WIDTH, console, print_json, print_table, prints_aside
from edgecompress.errors import InputError, plural
from edgecompress.units import duration, kilobytes, metric_title, milliseconds
from edgecompress.units import metric as metric_text

if TYPE_CHECKING:
    from edgecompress.comparison.search.result import SearchResult
    from edgecompress.comparison.search.trial import Measures, SearchTrial

NEEDED = ("model", "target", "calibration", "evaluation")
"""What begins a study."""
KEPT = ("quantization.enabled", "pruning.enabled", "low_rank.enabled")
"""Settings that the title of a trial tells already."""


def run(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="file.py:callable, FILE.onnx, FILE.pt2, hf:NAME or timm:NAME.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", autocompletion=completion.targets, help="Name of a profile, or a TOML file."),
    ] = None,
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help=Data)] = None,
    evaluation: Evaluation = None,
    train: Train = None,
    weights: Weights = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", help="Trials of the study; 24 where no time is given.")
    ] = None,
    budget_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long this run may last: 2h, 90m or 1h30m.")
    ] = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    loss: Loss = None,
    assignments: Assignments = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the study and its bundles.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where others find the study: a file, sqlite:///FILE or postgresql://HOST/NAME."
        ),
    ] = None,
    join: Annotated[
        str | None, typer.Option(metavar="URL", help="Work on the study there, with what it was begun with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the front and all trials as JSON.")] = False,
) -> int:
    """Search for the recipes that no other one beats in metric, latency and bytes; the same command goes on."""
    from edgecompress.api.search import search
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    aside = Console(stderr=True)
    own: dict[str, Any] = {
        "model": model,
        "target": target,
        "calibration": calibration,
        "evaluation": evaluation,
        "train": train,
    }
    own |= {"weights": weights, "metric": metric, "postprocess": postprocess, "loss": loss, "storage": storage}
    own |= {"overrides": assignments}
    of_this_run = {"trials": trials, "budget_time": budget_time, "output": output}
    with prints_aside(as_json):
        found = in_options(search)(
            **_begun(own, join, _given(of_this_run)),
            progress=progress_for(aside),
            tell=lambda trial: aside.print(told_of(trial), highlight=False, markup=False, soft_wrap=True),
        )
    if as_json:
        print_json(found.document())
    else:
        print_search(found)
    return 0 if found.chosen is not None else 1


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _begun(own: Mapping[str, Any], join: str | None, of_this_run: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a search: the command's own, or those of the study that it joins, and those of only this run.

    Raises:
        InputError: some are missing, or both are given, or nothing would end the run.
        OutputError: there is no study to join.
    """
    from edgecompress.comparison.search.search import begun_with

    given = _given(own)
    if join is not None:
        if given:
            raise InputError(f"--join takes its arguments from the study; leave {_option(next(iter(given)))} out")
        found = {**begun_with(join), "storage": join, **of_this_run}
        if found.get("trials") is None and "budget_time" not in found:
            raise InputError(
                "the study was begun with only a time, so no number of trials ends it; give --budget-time or --trials"
            )
        return found
    lacking = [name for name in NEEDED if name not in given]
    if lacking:
        raise InputError(
            f"{_option(lacking[0])} is missing; give it, as in edgecompress search file.py:callable --target NAME"
            " --calibration DATA --evaluation DATA, or join a study with --join URL"
        )
    return {**given, **of_this_run}


def _option(name: str) -> str:
    names = {"model": "MODEL", "overrides": "--set"}
    return names.get(name, f"--{name}")


def told_of(trial: SearchTrial) -> str:
    """A trial that ended, in a line."""
    measures = trial.measures
    took = f"trial {trial.number}, {duration(trial.seconds)}"
    if measures is None:
        return f"{took}: {trial.failure}"
    value = metric_text(measures.metric, measures.metric_unit)
    size = f"{measures.original_bytes / measures.size_bytes:.2f}x smaller"
    return f"{took}: {measures.title}: {size}, {measures.ratio.words}, {_title(measures)} {value}"


def print_search(found: SearchResult) -> None:
    """The front, what each of it is, the trial that is chosen, and where all of it is."""
    out = console()
    measured, original_ms = found.measured, found.original_ms
    if found.front and original_ms is not None:
        first = measured[found.front[0]]
        rows = [_original(first, original_ms), *(_row(found, measured[number], number) for number in found.shown)]
        print_table(["trial", _title(first), "change, 95 %", "latency", "speedup, 95 %", "size"], rows)
        out.print()
    for number in found.shown:
        _print_hanging(f"{number}: ", _settings(found.trial(number)))
    beaten = len(measured) - len(found.shown)
    _print_hanging("", f"left out: {plural(beaten, 'trial')} that others beat, {plural(len(found.failed), 'failure')}")
    for trial in found.failed:
        _print_hanging(f"{trial.number}: ", str(trial.failure), style="yellow")
    if found.running:
        _print_hanging("", f"{plural(found.running, 'trial')} still with other workers")
    if found.knee is not None:
        _print_hanging("knee: ", f"trial {found.knee}, the nearest to the best of all three")
    out.print()
    if found.chosen is None:
        _print_hanging("[red]none chosen[/]: ", found.reason)
    else:
        _print_hanging(f"[green]chosen[/]: trial {found.chosen}: ", found.reason)
        place = found.folder / "trials" / found.trial(found.chosen).folder
        out.print(f"its bundle: {place}", highlight=False, markup=False, soft_wrap=True)
    if found.command is not None:
        out.print(f"made again by: {found.command}", highlight=False, markup=False, soft_wrap=True)
    out.print(f"all trials: {found.folder}", highlight=False, markup=False, soft_wrap=True)


def _title(measures: Measures) -> str:
    return metric_title(measures.metric_name).removeprefix("accuracy, ")


def _original(first: Measures, original_ms: float) -> list[str]:
    value = metric_text(first.original_metric, first.metric_unit)
    return ["original", value, "", milliseconds(original_ms), "", kilobytes(first.original_bytes)]


def _row(found: SearchResult, measures: Measures, number: int) -> list[str]:
    """A trial as the table has it; its latency is the original's over the speedup, so that latencies compare."""
    marks = [name for name, marked in (("chosen", found.chosen), ("knee", found.knee)) if marked == number]
    low, high = measures.speedup_interval_95
    assert found.original_ms is not None
    return [
        " ".join([str(number), *marks]),
        metric_text(measures.metric, measures.metric_unit),
        measures.metric_change,
        milliseconds(found.original_ms / measures.speedup),
        f"{measures.speedup:.2f}x {low:.2f}-{high:.2f}",
        kilobytes(measures.size_bytes),
    ]


def _settings(trial: SearchTrial) -> str:
    """What a trial is: its techniques, and the keys of its recipe that the search chose."""
    assert trial.measures is not None
    keys = [f"{key}={_written(value)}" for key, value in trial.settings.items() if key not in KEPT]
    return f"{trial.measures.title}: {' '.join(keys)}"


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _print_hanging(head: str, text: str, style: str = "") -> None:
    """A text within 80 columns; lines after the first are set in."""
    from rich.markup import escape

    plain = head.replace("[red]", "").replace("[green]", "").replace("[/]", "")
    lines = textwrap.wrap(plain + text, WIDTH, subsequent_indent="   ", break_long_words=False, break_on_hyphens=False)
    lines = lines or [plain]
    console().print(head + escape(lines[0][len(plain) :]), style=style, highlight=False)
    for line in lines[1:]:
        console().print(line, style=style, highlight=False, markup=False)
