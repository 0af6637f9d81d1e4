"""``edgecompress inspect``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich.console import Console

from edgecompress.cli.tables import console, print_json, print_table
from edgecompress.units import decibels, kilobytes


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL | FILE.onnx")],
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="safetensors, or a state dict.")] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="What each layer costs as integers; needs --calibration.")
    ] = False,
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help="For --sensitivity.")] = None,
    target: Annotated[str, typer.Option(help="Name of a profile, or a TOML file; for --sensitivity.")] = "mobile",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the layers of a model or an artifact: shape, parameters, bytes, precision."""
    from edgecompress.inspection import inspect_model

    if sensitivity:
        return _sensitivity(model, weights, target, assignments or [], calibration, as_json=as_json)

    layers = inspect_model(model, weights)
    if as_json:
        print_json([dataclasses.asdict(layer) for layer in layers])
        return 0
    rows = [
        [one.name, one.kind, "x".join(map(str, one.shape)), one.precision, f"{one.parameters:,}", kilobytes(one.bytes)]
        for one in layers
    ]
    print_table(["layer", "kind", "weight", "precision", "parameters", "bytes"], rows, left=4)
    total, size = sum(one.parameters for one in layers), sum(one.bytes for one in layers)
    console().print(f"\n{len(layers)} layers with weights, {total:,} parameters, {kilobytes(size)}", highlight=False)
    return 0


def _sensitivity(
    model: str, weights: str | None, target: str, assignments: list[str], calibration: str | None, *, as_json: bool
) -> int:
    """The layers by what their return to float would win, the most rewarding first."""
    from edgecompress.errors import DataError
    from edgecompress.inspection import inspect_sensitivity
    from edgecompress.progress import progress_for
    from edgecompress.targets import effective_profile

    if calibration is None:
        raise DataError("--sensitivity runs the model on data; give --calibration")
    profile = effective_profile(target, assignments)
    layers = inspect_sensitivity(model, weights, profile, calibration, progress_for(Console(stderr=True)))
    if as_json:
        print_json([dataclasses.asdict(layer) for layer in layers])
        return 0
    rows = [
        [one.name, one.kind, decibels(one.sqnr_db), f"{one.gain_db:+.2f} dB", f"{one.lost_ms:+.3f} ms"]
        for one in layers
    ]
    print_table(["layer", "kind", "alone integer", "alone float wins", "and costs"], rows, left=2)
    return 0
