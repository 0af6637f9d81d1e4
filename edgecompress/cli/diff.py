"""``edgecompress diff``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import DeviceOption
from edgecompress.cli.device_tables import DeviceSettings, device_line
from edgecompress.cli.gate import Gate, GitHub, JUnit, NamedAgain
from edgecompress.cli.limits import named_as_options
from edgecompress.cli.tables import MORE_RUNS, VERDICTS, console, ending, print_json, print_table, prints_aside
from edgecompress.errors import plural
from edgecompress.recipe.tables import FEWEST_RUNS
from edgecompress.units import (
    budget,
    decibels,
    kilobytes,
    limit,
    metric,
    metric_title,
    milliseconds,
    outcome,
    percent,
    share,
)

if TYPE_CHECKING:
    from edgecompress.comparison.changed_answers import ChangedAnswer, ChangedAnswers
    from edgecompress.comparison.regressions import ReleaseVerdict
    from edgecompress.comparison.release_latency import LatencyChange
    from edgecompress.comparison.releases import Difference

SHOWN = 10
"""Samples that are listed on the terminal."""
NAME_WIDTH = 36
"""Of the name of a sample, whose end tells most."""


def run(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of the bundle in use.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of the bundle that replaces it.")],
    evaluation: Annotated[str | None, typer.Option(metavar="DATA", help="Labelled data to compare both on.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.metrics,
            help="Another metric; needed if the bundle's is code.",
        ),
    ] = None,
    postprocess: NamedAgain = None,
    max_metric_loss: Annotated[
        str | None, typer.Option(metavar="X", help="Largest loss, in its unit; default: what chance explains.")
    ] = None,
    max_size_growth: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Largest growth of the file; default: 1.")
    ] = None,
    max_slowdown: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Largest slowdown, beyond noise; default: 1.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(metavar="N", min=FEWEST_RUNS, help="Timed runs, or up to ten times as many.")
    ] = None,
    device: DeviceOption = None,
    assignments: DeviceSettings = None,
    junit: JUnit = None,
    github: GitHub = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Show what changes from an old bundle to a new one: metric, size, latency and answers.

    A limit of none, as in --max-slowdown none, drops that budget.
    """
    from edgecompress.api.diff import diff
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    limits = {"max_metric_loss": max_metric_loss, "max_size_growth": max_size_growth, "max_slowdown": max_slowdown}
    gate = Gate(f"diff {old.name} {new.name}", new, junit=junit, github=github, aside=as_json)
    with gate, prints_aside(as_json), named_as_options(limits):
        found = in_options(diff)(
            old,
            new,
            evaluation=evaluation,
            metric=metric,
            postprocess=postprocess,
            **limits,
            runs=runs,
            device=device,
            overrides=assignments or (),
            progress=progress_for(Console(stderr=True)),
        )
    if as_json:
        print_json(found.document())
    else:
        print_table(["", "old", "new", "change"], list(_rows(found)))
        if found.same_file:
            console().print("both artifacts are the same file", highlight=False)
        _print_device(found.latency)
        _print_answers(found.answers, found.answered)
        _print_budgets(found.verdict, new)
    gate.tell(found.verdict.entry)
    return 0 if found.passed else 1


def _rows(found: Difference) -> Iterator[list[str]]:
    drop, latency = found.metric.drop, found.latency
    title = metric_title(found.metric.name) + (", recorded" if found.metric.source == "recorded" else "")
    if drop is None:
        yield [title, "", "", "not measured"]
    else:
        yield [title, metric(drop.before, drop.unit), metric(drop.after, drop.unit), drop.words]
    before, after = found.sizes
    yield ["size", kilobytes(before), kilobytes(after), _grown(found.sizes)]
    times = ["-" if time is None else milliseconds(time.median_ms) for time in (latency.old, latency.new)]
    change = "no difference" if found.same_file else "not measured" if latency.ratio is None else latency.ratio.words
    yield [f"latency, {plural(latency.threads, 'thread')}", *times, change]
    alike = found.agreement.top1_agreement
    same = "" if alike is None else f"{share(alike)} same class"
    yield ["agreement", "", decibels(found.agreement.sqnr_db), same]


def _print_device(latency: LatencyChange) -> None:
    """Where both were timed, if not here, and why its times are not to be trusted."""
    if latency.device is not None:
        told = f"latency: {' on '.join(filter(None, (device_line(latency.ran_on), latency.device)))}"
        console().print(told, style="dim", highlight=False, markup=False)
    for doubt in latency.doubts:
        console().print(f"latency: {doubt}", style="yellow", highlight=False, markup=False)


def _grown(sizes: tuple[int, int]) -> str:
    from edgecompress.comparison.releases import growth

    added = sizes[1] - sizes[0]
    if not added:
        return "no difference"
    grown = f"{growth(sizes):+.2f} %"
    return f"{'+' if added > 0 else '-'}{plural(abs(added), 'byte')}" if float(grown[:-2]) == 0 else grown


def _print_answers(answers: ChangedAnswers, data: str) -> None:
    """How many answers changed, and the worst of them."""
    named = "the evaluation data" if data == "evaluation" else "the self-test"
    told = f"of {plural(answers.samples, 'sample')} of {named}, "
    if answers.of_classes:
        told += f"{answers.changed} changed class"
        told += f": {answers.lost} lost, {answers.won} won, {answers.other} neither" if answers.changed else ""
    elif answers.lost or answers.won or answers.other < answers.samples:
        told += f"{answers.lost} are answered worse and {answers.won} better"
    else:
        told += "none has a value of the metric; those that agree least:"
    console().print(f"\n{told}", highlight=False, markup=False)
    if answers.listed:
        heads = ["label", "old", "new", "certainty"] if answers.of_classes else ["old", "new", "agreement"]
        print_table(["sample", *heads], [_row(each, answers) for each in answers.listed[:SHOWN]])
    if (more := len(answers.listed) - SHOWN) > 0:
        console().print(f"and {more} more; --json lists them", style="dim", highlight=False)


def _row(answer: ChangedAnswer, answers: ChangedAnswers) -> list[str]:
    name = str(answer.index) if answer.sample is None else answer.sample
    shown = ending(name, NAME_WIDTH)
    if answer.certainty is not None:
        classes = [answers.called(each) for each in (answer.label, answer.old, answer.new)]
        return [shown, *(each[:12] for each in classes), percent(100 * answer.certainty)]
    values = ["-" if value is None else f"{value:.4g}" for value in (answer.old, answer.new)]
    return [shown, *values, decibels(answer.sqnr_db or 0.0)]


def _print_budgets(verdict: ReleaseVerdict, new: Path) -> None:
    from edgecompress.timing.noise import advice

    rows = [
        [
            check.budget,
            "chance" if check.limit is None else limit(check.limit, check.unit),
            "-" if check.value is None else budget(check.value, check.unit),
            outcome(check.outcome),
        ]
        for check in verdict.checks
    ]
    console().print()
    print_table(["budget", "limit", "measured", "outcome"], rows)
    if any(check.outcome == "not measured" and check.budget == "max_slowdown" for check in verdict.checks):
        told = (
            "max_slowdown is not measured: the target has another CPU than this machine; to time it there, give"
            " --device ssh://HOST or adb://SERIAL"
        )
        console().print(told, style="yellow", highlight=False, markup=False)
    for check in verdict.checks:
        if check.outcome == "too noisy to say":
            ends = "" if check.interval_95 is None else " to ".join(f"{end:z.2f}" for end in check.interval_95)
            told = f"{check.budget}: {ends} {check.unit} at 95 %" if ends else f"{check.budget}: chance is not known"
            fix = "give more data, or a limit" if check.limit is None else advice(MORE_RUNS)
            console().print(f"{told}; {fix}", style="yellow", highlight=False, markup=False)
    console().print(f"\n{VERDICTS[verdict.outcome]}: ", end="", highlight=False)
    console().print(str(new), highlight=False, markup=False, soft_wrap=True)
