"""``edgecompress validate``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import DeviceOption, On
from edgecompress.cli.device_tables import DeviceSettings, print_devices
from edgecompress.cli.gate import Gate, GitHub, JUnit, NamedAgain
from edgecompress.cli.limits import named_as_options
from edgecompress.cli.tables import (
    MORE_RUNS,
    console,
    in_short,
    print_budgets,
    print_elsewhere,
    print_json,
    print_table,
    print_verdict,
    prints_aside,
)
from edgecompress.recipe.tables import FEWEST_RUNS

if TYPE_CHECKING:
    from edgecompress.bundle.measured_rows import MeasuredRow
    from edgecompress.bundle.revalidation import Revalidation
    from edgecompress.validation.budgets import Verdict


def run(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compress wrote.")],
    evaluation: Annotated[str | None, typer.Option(metavar="DATA", help="Labelled data to measure on.")] = None,
    original: Annotated[Path | None, typer.Option(metavar="FILE.onnx", help="Float model, to compare with.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.metrics,
            help="Another metric; needed if the bundle's is code.",
        ),
    ] = None,
    postprocess: NamedAgain = None,
    max_accuracy_drop: Annotated[
        str | None, typer.Option(metavar="PP", help="Largest drop, in percentage points.")
    ] = None,
    max_metric_drop: Annotated[
        str | None, typer.Option(metavar="X", help="Largest drop, in the metric's unit.")
    ] = None,
    min_metric_kept: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Share of the float model's metric to keep, 0 to 1."),
    ] = None,
    min_metric: Annotated[
        str | None, typer.Option(metavar="X", help="Lowest metric, if higher is better: 70 for 70 %.")
    ] = None,
    max_metric: Annotated[str | None, typer.Option(metavar="X", help="Highest metric, if lower is better.")] = None,
    min_compression_ratio: Annotated[
        str | None, typer.Option(metavar="X", help="Times smaller than the float model.")
    ] = None,
    min_speedup: Annotated[str | None, typer.Option(metavar="X", help="Times faster than the float model.")] = None,
    max_latency_ms: Annotated[str | None, typer.Option(metavar="MS", help="Median latency of one sample.")] = None,
    max_latency_p95_ms: Annotated[
        str | None, typer.Option(metavar="MS", help="95th percentile of the latency.")
    ] = None,
    max_latency_p99_ms: Annotated[
        str | None, typer.Option(metavar="MS", help="99th percentile of the latency.")
    ] = None,
    max_size_mb: Annotated[str | None, typer.Option(metavar="MB", help="Size of the artifact, 10^6 bytes.")] = None,
    min_sqnr_db: Annotated[
        str | None, typer.Option(metavar="DB", help="Agreement with the float model's outputs.")
    ] = None,
    cpu: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", autocompletion=completion.cpus, help="Another CPU, emulated; repeatable."),
    ] = None,
    min_cpu_agreement: Annotated[str | None, typer.Option(metavar="SHARE", help="Same answers there, 0 to 1.")] = None,
    on: On = None,
    min_runtime_agreement: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Same answers there, 0 to 1.")
    ] = None,
    max_cpu_nodes: Annotated[str | None, typer.Option(metavar="N", help="Nodes that an NPU leaves to the CPU.")] = None,
    min_npu_share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of the work that an NPU does, 0 to 1.")
    ] = None,
    min_browser_agreement: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Same answers there, 0 to 1.")
    ] = None,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="Do not accept values that are only recorded.")
    ] = False,
    runs: Annotated[
        int | None, typer.Option(metavar="N", min=FEWEST_RUNS, help="Timed runs; default: the recipe's, mostly 100.")
    ] = None,
    junit: JUnit = None,
    github: GitHub = False,
    verify_key: Annotated[
        Path | None, typer.Option(metavar="PUB.pem", help="Refuse a bundle that this key has not signed.")
    ] = None,
    device: DeviceOption = None,
    assignments: DeviceSettings = None,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Write a device's measurements into the manifest.")
    ] = True,
    sign: Annotated[Path | None, typer.Option(metavar="KEY.pem", help="Sign the new manifest (Ed25519).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check a bundle: its hashes, its outputs, and its budgets, measured again on this machine.

    A limit replaces that of the bundle's recipe; none, as in --min-speedup none, drops it.
    """
    from edgecompress.api.validate import validate
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    limits = {
        "max_accuracy_drop": max_accuracy_drop,
        "max_metric_drop": max_metric_drop,
        "min_metric_kept": min_metric_kept,
        "min_metric": min_metric,
        "max_metric": max_metric,
        "min_compression_ratio": min_compression_ratio,
        "min_speedup": min_speedup,
        "max_latency_ms": max_latency_ms,
        "max_latency_p95_ms": max_latency_p95_ms,
        "max_latency_p99_ms": max_latency_p99_ms,
        "max_size_mb": max_size_mb,
        "min_sqnr_db": min_sqnr_db,
        "min_cpu_agreement": min_cpu_agreement,
        "min_browser_agreement": min_browser_agreement,
        "min_runtime_agreement": min_runtime_agreement,
        "max_cpu_nodes": max_cpu_nodes,
        "min_npu_share": min_npu_share,
    }
    progress = progress_for(Console(stderr=True))
    gate = Gate(f"validate {bundle.name}", bundle, junit=junit, github=github, complete=require_measured, aside=as_json)
    with gate, prints_aside(as_json), named_as_options(limits):
        result = in_options(validate)(
            bundle,
            evaluation=evaluation,
            original=original,
            **limits,
            cpu=cpu or (),
            on=on or (),
            require_measured=require_measured,
            runs=runs,
            progress=progress,
            verify_key=verify_key,
            device=device,
            overrides=assignments or (),
            record=record,
            sign=sign,
            metric=metric,
            postprocess=postprocess,
        )
    if as_json:
        print_json(result.document())
    else:
        _print(result, bundle, progress.warned)
    gate.tell(result.document()["verdict"])
    return 0 if result.passed else 1


def _print(result: Revalidation, bundle: Path, warned: int) -> None:
    """Measures, other places, budgets, and the verdict."""
    print_table(
        ["measure", "value", "from"],
        [[row.title or row.measure, row.text, in_short(row.source)] for row in result.rows],
    )
    console().print()
    print_elsewhere(result.elsewhere, result.sources)
    print_devices(result.elsewhere)
    verdict = result.document()["verdict"]
    print_budgets(verdict, MORE_RUNS)
    for line in recorded_only(result.rows):
        console().print(line, style="yellow", highlight=False, markup=False)
    if result.recorded:
        console().print(
            f"recorded in {bundle / 'manifest.json'}", style="dim", highlight=False, markup=False, soft_wrap=True
        )
    unmeasured = next((_title(row) for row in result.rows if row.measure in OF_DATA and row.value is None), None)
    recorded = recorded_titles(result.rows, result.verdict)
    print_verdict(verdict, bundle, unmeasured=unmeasured, recorded=recorded, warned=warned)


OF_DATA = ("accuracy", "metric")
"""The metric itself, which labelled data measure."""
NEEDED = {**dict.fromkeys(OF_DATA, "--evaluation"), "speedup": "--original"}
"""What measures them here."""


def recorded_only(rows: Sequence[MeasuredRow]) -> Iterator[str]:
    """What the verdict takes from the bundle's own record, a line each with the option that measures it here."""
    for row in rows:
        if _is_recorded(row):
            yield f"{_title(row)}: recorded {row.text}, not measured here; give {NEEDED[row.measure]} to measure it"


def recorded_titles(rows: Iterable[MeasuredRow], verdict: Verdict) -> tuple[str, ...]:
    """What tables call the measures that a budget is kept by as the bundle records them."""
    from edgecompress.validation.budgets import OF_THE_METRIC

    kept = {check.budget for check in verdict.checks if check.outcome == "pass"}
    decides = {**dict.fromkeys(OF_DATA, kept & {*OF_THE_METRIC}), "speedup": kept & {"min_speedup"}}
    return tuple(_title(row) for row in rows if _is_recorded(row) and decides[row.measure])


def _is_recorded(row: MeasuredRow) -> bool:
    return row.measure in NEEDED and row.source == "recorded" and row.value is not None


def _title(row: MeasuredRow) -> str:
    return row.title or row.measure
