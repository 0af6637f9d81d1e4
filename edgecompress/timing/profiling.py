"""Time of a model by operator, as ONNX Runtime's own profiler tells it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from edgecompress.arrays import Inputs
from edgecompress.errors import OUR_FAULT, EdgecompressError, first_line
from edgecompress.runtime import open_session, run_session
from edgecompress.system.scratch import scratch_folder

WARM_UP_RUNS = 3
KERNEL = "_kernel_time"
APPENDED = re.compile(r"(_nchwc|_nhwc|_token_\d+)+$")


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """One node of the graph that ONNX Runtime runs.

    ``reads`` and ``gives`` are the types of its inputs and outputs, in the runtime's words; ``makes`` is the shape of
    its first output.
    """

    name: str
    operator: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]
    median_ms: float
    makes: tuple[int, ...] = ()


def node_times(model: bytes, inputs: Inputs, *, runs: int = 15, threads: int = 1) -> dict[str, float]:
    """Milliseconds of each node of the graph that ONNX Runtime runs: the median over runs, by the node's name.

    What the optimizer appends to a name is taken off, and what then has one name counts together. A node made of
    several keeps the name of one of them, in most cases that of the last.
    """
    times: dict[str, float] = defaultdict(float)
    for node in profile_nodes(model, inputs, runs=runs, threads=threads):
        times[APPENDED.sub("", node.name)] += node.median_ms
    return dict(times)


def profile_nodes(model: bytes, inputs: Inputs, *, runs: int = 15, threads: int = 1) -> list[NodeTime]:
    """The nodes of the graph that ONNX Runtime runs, in its order, each with the median of its time over runs."""
    times: dict[str, list[float]] = defaultdict(list)
    told: dict[str, Mapping[str, Any]] = {}
    for event in _events(model, inputs, WARM_UP_RUNS + runs, threads):
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            name = event["name"].removesuffix(KERNEL)
            times[name].append(event["dur"] / 1e3)
            told[name] = event["args"]
    return [
        NodeTime(
            name=name,
            operator=kernel["op_name"],
            reads=_types(kernel.get("input_type_shape", ())),
            gives=_types(kernel.get("output_type_shape", ())),
            makes=_first_shape(kernel),
            median_ms=float(np.median(times[name][WARM_UP_RUNS:])),
        )
        for name, kernel in told.items()
    ]


def _events(model: bytes, inputs: Inputs, runs: int, threads: int) -> list[dict[str, Any]]:
    with scratch_folder() as folder:
        session = open_session(model, threads, profile=str(folder / "profile"), arithmetic="native")
        for _ in range(runs):
            run_session(session, inputs)
        return _read_events(Path(session.end_profiling()))


def _read_events(path: Path) -> list[dict[str, Any]]:
    try:
        events: list[dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:  # cut short: ONNX Runtime does not say that the disk is full
        raise EdgecompressError(f"ONNX Runtime's profile cannot be read: {first_line(error)}; {OUR_FAULT}") from error
    return events


def _types(tensors: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The types of tensors that the profile lists as ``{type: shape}``."""
    return tuple(kind for entry in tensors for kind in entry)


def _first_shape(told: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of a kernel's first output; empty where it has none."""
    return next((tuple(shape) for entry in told.get("output_type_shape", ()) for shape in entry.values()), ())


def time_of(layer: ir.Node, times: Mapping[str, float]) -> float | None:
    """The time of a layer under its own name, or that of the operator behind it that it was fused with."""
    name = _name_in(layer, times)
    return None if name is None else times[name]


def layer_times(layers: Iterable[ir.Node], times: Mapping[str, float]) -> dict[str, float]:
    """The time of each layer, by its name; where several would take the time of one operator, the first has it."""
    taken: dict[str, str] = {}
    for layer in layers:
        name = _name_in(layer, times)
        if name is not None:
            taken.setdefault(name, str(layer.name))
    return {layer: times[name] for name, layer in taken.items()}


def _name_in(layer: ir.Node, times: Mapping[str, float]) -> str | None:
    readers = [reader for output in layer.outputs for reader, _ in output.uses()]
    return next((name for node in (layer, *readers) for name in names_of(node) if name in times), None)


def names_of(node: ir.Node) -> tuple[str, ...]:
    """What ONNX Runtime may call a node: by its name, or, in the layouts of its own, by what it computes."""
    return (str(node.name), *(str(output.name) for output in node.outputs))


def own_time(node: ir.Node, times: Mapping[str, float]) -> float | None:
    """The time under a node's own name, or under that of what it computes; None where it was fused into another."""
    return next((times[name] for name in names_of(node) if name in times), None)
