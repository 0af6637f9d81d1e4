"""What devices measured, on a terminal: a table for each, next to what this machine says of the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgecompress.cli import completion
from edgecompress.cli.tables import console, print_table
from edgecompress.errors import plural
from edgecompress.units import kilobytes, milliseconds

if TYPE_CHECKING:
    from edgecompress.validation.elsewhere.results import Elsewhere

DeviceSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="device.KEY=VALUE",
        autocompletion=completion.device_keys,
        help="Setting of the device: python, threads, cores; repeatable.",
    ),
]
STATES = {"temperature_c": "temperature, {:.0f} to {:.0f} °C", "clock_mhz": "clock, {:.0f} to {:.0f} MHz"}
"""What a device tells of itself before and after the runs."""


def print_devices(elsewhere: Elsewhere) -> None:
    """Latency and memory of the float file and the artifact on each device, and what the device was like."""
    for place, entry in elsewhere.runtimes.items():
        measured = entry.get("measured")
        if measured:
            console().print(f"measured on {place}", highlight=False, markup=False, style="bold")
            print_table(["", "before", "after", "change"], list(_rows(measured)))
            console().print(_told(entry), style="dim", highlight=False, markup=False)
            for doubt in measured["latency_ms"]["doubts"]:
                console().print(f"latency: {doubt}", style="yellow", highlight=False, markup=False)
            console().print()


def _rows(measured: Mapping[str, Any]) -> Iterator[list[str]]:
    from edgecompress.timing.ratios import Ratio

    latency, memory = measured["latency_ms"], measured["memory_bytes"]
    change = ""
    if latency["ratio"] is not None:
        low, high = latency["ratio_interval_95"]
        change = Ratio(value=latency["ratio"], low=low, high=high).words
    before, after = latency["original"] or {}, latency["compressed"]
    for name, title in (("median", f"latency, {plural(latency['threads'], 'thread')}"), ("p95", "p95"), ("p99", "p99")):
        first = milliseconds(before[name]) if before else ""
        yield [title, first, milliseconds(after[name]), change if name == "median" else ""]
    if memory["compressed"] is not None:
        first = "" if memory["original"] is None else kilobytes(memory["original"])
        yield ["memory", first, kilobytes(memory["compressed"]), ""]


def _told(entry: Mapping[str, Any]) -> str:
    """The device in a line, and what it was like before and after."""
    measured = entry["measured"]
    states = [
        text.format(measured["before"][name], measured["after"][name])
        for name, text in STATES.items()
        if name in measured["before"] and name in measured["after"]
    ]
    return "; ".join(filter(None, (device_line(entry["ran_on"]), *states)))


def device_line(ran_on: Mapping[str, str]) -> str:
    """A device in a line: its name, CPU and versions.

    >>> device_line({"device": "Board 5", "cpu": "Cortex-A76", "onnxruntime": "1.27.0"})
    'Board 5, Cortex-A76; onnxruntime 1.27.0'
    """
    named = [ran_on[name] for name in ("device", "cpu", "machine") if name in ran_on]
    versions = [f"{name} {ran_on[name]}" for name in ("onnxruntime", "python") if name in ran_on]
    return "; ".join(filter(None, (", ".join(named), ", ".join(versions))))
