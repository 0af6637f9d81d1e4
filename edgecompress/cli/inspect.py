"""``edgecompress inspect``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from edgecompress.cli.tables import console, print_json, print_table
from edgecompress.units import kilobytes


def run(
    model: Annotated[str, typer.Argument(metavar="MODEL | FILE.onnx")],
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="safetensors, or a state dict.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the layers of a model or an artifact: shape, parameters, bytes, precision."""
    from edgecompress.inspection import inspect_model

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
