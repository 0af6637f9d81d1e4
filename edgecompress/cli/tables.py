"""How results look on a terminal: tables of at most 80 columns, units with the numbers."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgecompress.errors import plural
from edgecompress.metrics.agreement import ALIKE_DB, listed
from edgecompress.units import (
    budget,
    decibels,
    judged_in_words,
    kilobytes,
    limit,
    metric,
    metric_title,
    milliseconds,
    outcome,
    share,
    times,
)

if TYPE_CHECKING:
    from edgecompress.validation.drops import Drop
    from edgecompress.validation.elsewhere.results import Elsewhere

WIDTH = 80
MORE_RUNS = "--runs 1000"
"""The option of a command that times again what is there."""
LAST_WORDS = 4
"""Of the name of a layer, which no width takes away: ``l.11.a.q_proj`` is still found."""
VERDICTS = {
    "pass": "[green]within budget[/]",
    "fail": "[red]budget missed[/]",
    "undecided": "[yellow]not decided[/]",
}
HIDDEN_DB = 10.0
"""A slice that agrees so much less than its output is told next to it."""
KIND_WIDTH = 11
"""Of the kinds of layers: ``BatchNorm2d``."""


def console() -> Console:
    """Standard output, never wider than 80 columns, so that a table looks the same everywhere."""
    out = Console()
    return Console(width=min(out.width, WIDTH)) if out.is_terminal else Console(width=WIDTH)


def print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on standard output, and nothing else; infinity and NaN, which JSON lacks, are null."""
    json.dump(_finite(document), sys.stdout, indent=2, sort_keys=True, allow_nan=False)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def prints_aside(as_json: bool) -> Iterator[None]:
    """Where a JSON document follows, send what a user's own code prints to standard error."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """A table; the first ``left`` columns hold text, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, heading in enumerate(headings):
        if index < left:
            table.add_column(heading, overflow="fold")
        else:
            table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_layers(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> None:
    """A table that begins with the name and the kind of a layer; these give way to the figures, within 80 columns."""
    kind = min(max(len(row[1]) for row in [headings, *rows]), KIND_WIDTH)
    cut = [[row[0], _cut(row[1], kind), *row[2:]] for row in rows]
    room = _room(headings, cut)
    print_table(headings, [[shortened(row[0], room), *row[1:]] for row in cut], left)


def print_files(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that begins with the path of a file, whose end stays where it does not fit within 80 columns."""
    room = _room(headings, rows)
    print_table(headings, [[ending(row[0], room), *row[1:]] for row in rows])


def _room(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """The width that the other columns leave to the first."""
    rest = [max(len(row[index]) for row in [headings, *rows]) for index in range(1, len(headings))]
    return WIDTH - sum(rest) - 2 * len(headings)


def ending(text: str, width: int) -> str:
    """A text within a width, by its end, which tells most of a path.

    >>> ending("my_net-mobile/model.onnx", 16), ending("model.onnx", 16)
    ('…bile/model.onnx', 'model.onnx')
    """
    return text if len(text) <= width else "…" + text[1 - width :]


def shortened(name: str, width: int) -> str:
    """A dotted name within a width: its words lose all but the first letter, then go, the foremost first.

    >>> shortened("vit.layers.11.attention.q_proj", 26), shortened("vit.layers.11.attention.q_proj", 14)
    ('v.l.11.attention.q_proj', 'l.11.a.q_proj')
    """
    parts = name.split(".")
    for index, part in enumerate(parts[:-1]):
        if len(".".join(parts)) <= width:
            break
        parts[index] = part if part.isdigit() else part[:1]
    while len(".".join(parts)) > width and len(parts) > LAST_WORDS:
        parts.pop(0)
    return _cut(".".join(parts), width)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """Size, latency and the metric before and after."""
    from edgecompress.bundle.manifest import metric_entry
    from edgecompress.timing.ratios import Ratio
    from edgecompress.validation.drops import Drop

    size, latency, measured = metrics["size_bytes"], metrics["latency_ms"], metric_entry(metrics)
    low, high = latency["ratio_interval_95"]
    rows = [
        [
            "size",
            kilobytes(size["original"]),
            kilobytes(size["compressed"]),
            f"{times(size['ratio'])} {'smaller' if size['ratio'] >= 1 else 'larger'}",
        ],
        [
            f"latency, {plural(latency['threads'], 'thread')}",
            milliseconds(latency["original"]["median"]),
            milliseconds(latency["compressed"]["median"]),
            Ratio(value=latency["ratio"], low=low, high=high).words,
        ],
        [metric_title(measured["name"]), *_metric(Drop.recorded(measured))],
    ]
    parity = metrics["parity"]["compressed"]
    agreement = parity["top1_agreement"]
    same = "" if agreement is None else f"{share(agreement, 1)} same class"
    rows.append(["agreement", "", decibels(parity["sqnr_db"]), same])
    worst = parity.get("worst_slice")  # bundles of before have none
    if worst is not None and worst["sqnr_db"] < parity["sqnr_db"] - HIDDEN_DB:
        rows.append(["worst slice", "", decibels(worst["sqnr_db"]), worst["name"]])
    print_table(["", "before", "after", "change"], rows)
    for doubt in latency.get("doubts", []):  # bundles of before have none
        console().print(f"latency: {doubt}", style="yellow", highlight=False, markup=False)


def print_image_input(entry: Mapping[str, Any]) -> None:
    """A line on the file that takes bytes, where there is one."""
    from edgecompress.timing.ratios import Ratio

    if not entry:
        return
    latency = entry["latency_ms"]
    low, high = latency["ratio_interval_95"]
    told = f"{decibels(entry['sqnr_db'])} on {plural(entry['samples'], 'sample')}"
    speed = Ratio(value=latency["ratio"], low=low, high=high).words
    console().print(
        f"{entry['file']} takes bytes, {entry['layout'].upper()}: {told}; with preprocessing {speed}",
        highlight=False,
        markup=False,
    )


def print_elsewhere(elsewhere: Elsewhere, sources: Mapping[str, str] | None = None) -> None:
    """The outcomes at other places, in a table for each key of a manifest, with where they are from."""
    for key, places in elsewhere.groups.items():
        _print_places("other CPU" if key == "cpus" else "runtime", places, (sources or {}).get(key))


def _print_places(heading: str, places: Mapping[str, Mapping[str, Any]], source: str | None) -> None:
    """A line for each place; where nothing ran, a line below says why."""
    if not places:
        return
    told = any(entry.get("nodes") for entry in places.values())
    rows = [[in_short(name), *_place(entry), *[_integer_nodes(entry)] * told] for name, entry in places.items()]
    classes = any(entry["top1_agreement"] is not None for entry in places.values())
    same = "same class" if classes else f"to {ALIKE_DB:g} dB"
    headings = [heading, "identical", "agreement", same, "max error", "samples", *["integer"] * told]
    print_table(headings, rows)
    for name, entry in places.items():
        lost = entry.get("lost")
        wrong = entry["failure"] or (f"{listed(lost)} is lost there: zero, a constant or noise" if lost else "")
        if wrong:
            console().print(f"{name}: {wrong}", style="red", highlight=False, markup=False)
        if entry["identical"] is None:
            told_why = f"{name}: only timed, since {entry['ran_on'].get('runner', 'what runs there')} gives no outputs"
            console().print(told_why, style="yellow", highlight=False, markup=False)
        if entry.get("metric"):  # bundles of before have none
            console().print(f"{name}: {judged_in_words(entry)}", highlight=False, markup=False)
        if split := _split(entry):
            console().print(f"{name}: {split}", style="yellow", highlight=False, markup=False)
    if source is not None and any(entry["identical"] is not None for entry in places.values()):
        console().print(f"outputs there against the host's, {source}", style="dim", highlight=False)
    console().print()


def in_short(text: str) -> str:
    """A text with devices as only their hosts, for a table.

    >>> in_short("measured on ssh://pi@board.local:22"), in_short("adb://emulator-5554"), in_short("qnn:sm8650")
    ('measured on board.local:22', 'emulator-5554', 'qnn:sm8650')
    """
    return re.sub(r"(?:ssh|adb)://(?:[^@\s]+@)?(?=\S)", "", text)


SHOWN = 10
"""Nodes that are named on the terminal; the manifest names all."""


def print_budgets(verdict: Mapping[str, Any], runs: str) -> None:
    """One line for each budget, and one below for what would decide it where the machine is too noisy.

    Args:
        verdict: as JSON has it.
        runs: the option that times more runs.
    """
    from edgecompress.timing.noise import advice

    if verdict["budgets"]:
        rows = [
            [
                check["budget"],
                limit(check["limit"], check["unit"]),
                "-" if check["value"] is None else budget(check["value"], check["unit"]),
                outcome(check["outcome"]),
            ]
            for check in verdict["budgets"]
        ]
        print_table(["budget", "limit", "measured", "outcome"], rows)
    for check in verdict["budgets"]:
        if check["outcome"] == "too noisy to say":
            told = "{}: {:z.2f} to {:z.2f} {} at 95 %".format(check["budget"], *check["interval_95"], check["unit"])
            console().print(f"{told}; {advice(runs)}", style="yellow", highlight=False, markup=False)


def print_verdict(
    verdict: Mapping[str, Any],
    place: Path,
    *,
    unmeasured: str | None = None,
    recorded: Sequence[str] = (),
    warned: int = 0,
) -> None:
    """Whether it is within budget, as far as was measured, and where it is.

    Args:
        verdict: as JSON has it.
        place: of the bundle.
        unmeasured: what a table calls the metric, where nothing measured it; its budgets are not named then.
        recorded: what tables call the measures that the verdict takes from the bundle's record.
        warned: how many warnings were shown, which a long run may have moved out of sight.
    """
    from edgecompress.validation.budgets import OF_THE_METRIC

    notes = []
    if unmeasured is not None:
        notes.append(f"{unmeasured} not measured: give --evaluation DATA with labels")
    for reason in ("not measured", "only recorded", "too noisy to say"):
        named = [check["budget"] for check in verdict["budgets"] if check["outcome"] == reason]
        if unmeasured is not None and reason == "not measured":
            named = [name for name in named if name not in OF_THE_METRIC]
        if named:
            notes.append(f"{reason}: {', '.join(named)}")
    if recorded:
        notes.append(f"{' and '.join(recorded)} as recorded, not measured here")
    if warned:
        notes.append(f"{plural(warned, 'warning')} above")
    told = VERDICTS[verdict["outcome"]]
    if notes and verdict["outcome"] != "fail":
        told += f" [yellow]({escape('; '.join(notes))})[/]"
    console().print(f"\n{told}: {escape(str(place))}", highlight=False, soft_wrap=True)


def _place(entry: Mapping[str, Any]) -> list[str]:
    if entry["failure"]:
        return [entry.get("outcome", "failed"), "-", "-", "-", str(entry["samples"])]
    if entry["identical"] is None:
        return ["not known", "-", "-", "-", "-"]
    alike = entry["top1_agreement"] if entry["top1_agreement"] is not None else entry.get("alike")
    same = "-" if alike is None else share(alike)
    error = f"{entry['max_abs_error']:.3g}"
    return ["yes" if entry["identical"] else "no", decibels(entry["sqnr_db"]), same, error, str(entry["samples"])]


def _integer_nodes(entry: Mapping[str, Any]) -> str:
    nodes = entry.get("nodes")  # bundles of before have none, nor have runtimes that do not tell
    return f"{nodes['integer']} of {nodes['ran']}" if nodes else "-"


def _split(entry: Mapping[str, Any]) -> str:
    """What another unit left to the CPU, with the first reason that was given; empty where it left nothing."""
    nodes = entry.get("nodes") or {}
    refused = nodes.get("refused")
    if not refused:
        return ""
    there = " and ".join(f"{count} on the {unit}" for unit, count in nodes["units"].items() if unit != "CPU")
    more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    why = next((f"; {name}: {reason}" for name, reason in refused.items() if reason), "")
    done = nodes.get("shares", {}).get(entry.get("unit"))  # bundles of before have none
    told = "" if done is None else f", with {share(done)} of the multiply-accumulates"
    return f"of {plural(nodes['ran'], 'node')} {there}{told}; on the CPU {', '.join(list(refused)[:SHOWN])}{more}{why}"


def _metric(drop: Drop | None) -> list[str]:
    if drop is None:
        return ["", "", "not measured"]
    return [metric(drop.before, drop.unit), metric(drop.after, drop.unit), drop.words]
