"""``edgecompress inspect``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import Assignments, Metric, Model, Postprocess, Weights
from edgecompress.cli.tables import console, print_json, print_layers, prints_aside
from edgecompress.errors import plural
from edgecompress.units import count, decibels, kilobytes, metric_title, milliseconds, share

if TYPE_CHECKING:
    from edgecompress.inspection import Inspection, Layer, LayerSensitivity, Sensitivities
    from edgecompress.inspection.placed import PlacedNetwork
    from edgecompress.metrics.metric import Measure
    from edgecompress.quantization.sensitivity import Sensitivity

SHORT = {"float": "fp", "bfloat": "bf"}
"""How a table of 80 columns writes the precisions."""


def run(
    model: Model,
    weights: Weights = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="What is lost with each layer quantized, or pruned by half.")
    ] = False,
    calibration: Annotated[
        str | None, typer.Option(metavar="DATA", help="Data to run it on; a MODEL is not timed without.")
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option(metavar="DATA", help="Data with labels; --sensitivity measures the metric on it.")
    ] = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="NAME", autocompletion=completion.targets, help="For --sensitivity: a profile, or a TOML file."
        ),
    ] = "mobile",
    assignments: Assignments = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="RUNTIME[:DEVICE]",
            autocompletion=completion.places,
            help="Where each node of a bundle runs, on a runtime, or on that of a target.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the layers of a model or an artifact: weights, multiply-accumulates, bytes, precision, time."""
    from edgecompress.api.inspect import inspect
    from edgecompress.inspection import Inspection
    from edgecompress.inspection.placed import PlacedNetwork
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    with prints_aside(as_json):
        found = in_options(inspect)(
            model,
            weights=weights,
            sensitivity=sensitivity,
            calibration=calibration,
            evaluation=evaluation,
            target=target,
            overrides=assignments or [],
            metric=metric,
            postprocess=postprocess,
            progress=progress_for(Console(stderr=True)),
            on=on,
        )
    if as_json:
        print_json(found.document())
    elif isinstance(found, Inspection):
        _print_layers(found)
    elif isinstance(found, PlacedNetwork):
        _print_placed(found)
    else:
        _print_sensitivities(found)
    return 0


def _print_layers(found: Inspection) -> None:
    headings = ["layer", "kind", "weight", "type", "params", "MACs", "bytes", "time"]
    print_layers(headings, [_row(layer) for layer in found.layers], left=4)
    out, layers = console(), found.layers
    total, size = sum(layer.parameters for layer in layers), sum(layer.bytes for layer in layers)
    totals = [f"{plural(len(layers), 'layer')} with weights, {plural(total, 'parameter')}, {kilobytes(size)}"]
    if found.macs is not None:
        others = f", {count(found.other_macs)} of them in products without weights" if found.other_macs else ""
        totals.append(f"{count(found.macs)} multiply-accumulates{others}")
    if found.latency_ms is not None and found.other_share is not None:
        shares = f"other operators: {100 * found.other_share:.1f} %"
        totals.append(f"{milliseconds(found.latency_ms)} in ONNX Runtime's operators; {shares}")
    out.print()
    for line in (*totals, *found.notes):
        out.print(line, highlight=False, markup=False)


def _row(layer: Layer) -> list[str]:
    precision = layer.precision
    for long, short in SHORT.items():
        precision = short + precision.removeprefix(long) if precision.startswith(long) else precision
    return [
        layer.name,
        layer.kind,
        "x".join(map(str, layer.shape)),
        precision,
        count(layer.parameters),
        "-" if layer.macs is None else count(layer.macs),
        kilobytes(layer.bytes),
        "-" if layer.share is None else f"{100 * layer.share:.1f} %",
    ]


def _print_placed(found: PlacedNetwork) -> None:
    """The nodes in their order, then the line of segments, and why nodes are left to the CPU."""
    rows = [
        [node.name, node.operator, node.unit, node.precision or "-", "-" if node.macs is None else count(node.macs)]
        for node in found.nodes
    ]
    print_layers(["node", "operator", "runs on", "in", "MACs"], rows, left=4)
    segments = found.segments
    line = " -> ".join(f"{each.unit} {plural(each.nodes, 'node')}" for each in segments)
    done = "" if found.share is None else f", {share(found.share)} of the MACs on the {found.unit}"
    refused = [f"{node.name}: {node.why}" for node in found.nodes if node.why]
    console().print()
    for told in (f"{found.place}: {line}", f"{plural(len(segments) - 1, 'crossing')}{done}", *refused):
        console().print(told, highlight=False, markup=False)


def _print_sensitivities(found: Sensitivities) -> None:
    """The layers by what their return to float would win, the most rewarding first; then those that stay float."""
    headings = ["layer", "kind", "integer", "float wins", "and costs", "halved"]
    rows = [_losses(row) for row in found.layers]
    if found.measure is not None:
        headings.insert(3, "loses")
        for cells, layer in zip(rows, found.layers, strict=True):
            cells.insert(3, _lost_metric(layer.quantized, found.measure))
    print_layers(headings, rows, left=2)
    _print_reasons(found)


def _losses(row: LayerSensitivity) -> list[str]:
    quantized, halved = row.quantized, row.halved
    integer = ["-", "-", "-"]
    if quantized is not None:
        gain, lost = f"{quantized.gain_db:+z.2f} dB", f"{quantized.lost_ms:+z.3f} ms"
        integer = [decibels(quantized.sqnr_db), gain, lost]
    return [row.name, row.kind, *integer, "-" if halved is None or halved.sqnr_db is None else decibels(halved.sqnr_db)]


def _lost_metric(quantized: Sensitivity | None, measure: Measure) -> str:
    """How much the metric loses: a number, whose unit stands below the table."""
    if quantized is None or quantized.metric_drop is None:
        return "-"
    return f"{quantized.metric_drop:z.2f}" if measure.in_percent else f"{quantized.metric_drop:z.4g}"


def _print_reasons(found: Sensitivities) -> None:
    """What the columns say, which layers are halved together, and why others cannot be."""
    rows = found.layers
    lines = ["integer, halved: how the outputs agree with only that layer as integers, or with half of its channels"]
    if found.measure is not None:
        unit = f", in {found.measure.drop_unit}" if found.measure.drop_unit else ""
        lines.append(f"loses: of {metric_title(found.measure.name)}, with only that layer as integers{unit}")
    if all(row.halved is None for row in rows):
        lines.append("halved: only a PyTorch module can be pruned; give file.py:callable")
    together = dict.fromkeys(row.halved.group for row in rows if row.halved is not None and len(row.halved.group) > 1)
    lines += [f"halved together: {', '.join(group)}" for group in together]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.halved is not None and row.halved.reason is not None:
            reasons.setdefault(row.halved.reason, []).append(row.name)
    lines += [f"not halved: {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    console().print()
    for line in lines:
        console().print(line, highlight=False, markup=False)
