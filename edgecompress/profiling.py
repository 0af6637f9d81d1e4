"""Where the time of a model goes, operator by operator, as ONNX Runtime's own profiler tells it."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from edgecompress.data import Inputs
from edgecompress.runtime import open_session, run_session

WARM_UP_RUNS = 3
KERNEL = "_kernel_time"
APPENDED = re.compile(r"(_nchwc|_nhwc|_token_\d+)+$")


def node_times(model: bytes, inputs: Inputs, *, runs: int = 15, threads: int = 1) -> dict[str, float]:
    """Milliseconds of each node of the graph that ONNX Runtime runs: the median over runs, by the node's name.

    What the optimizer appends to a name is taken off. A node made of several keeps the name of one of them, in
    most cases that of the last.
    """
    with tempfile.TemporaryDirectory(prefix="edgecompress-") as folder:
        session = open_session(model, threads, profile=str(Path(folder, "profile")))
        for _ in range(WARM_UP_RUNS + runs):
            run_session(session, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            times[APPENDED.sub("", event["name"].removesuffix(KERNEL))].append(event["dur"] / 1e3)
    return {name: float(np.median(found[WARM_UP_RUNS:])) for name, found in times.items()}


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
    return next((name for node in (layer, *readers) for name in _names(node) if name in times), None)


def _names(node: ir.Node) -> tuple[str, ...]:
    """What ONNX Runtime may call a node: by its name, or, in the layouts of its own, by what it computes."""
    return (str(node.name), *(str(output.name) for output in node.outputs))
