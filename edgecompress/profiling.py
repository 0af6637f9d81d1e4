"""Where the time of a model goes, operator by operator, as ONNX Runtime's own profiler tells it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from edgecompress.data import Inputs
from edgecompress.runtime import open_session, run_session
from edgecompress.scratch import scratch_folder

WARM_UP_RUNS = 3
KERNEL = "_kernel_time"
APPENDED = re.compile(r"(_nchwc|_nhwc|_token_\d+)+$")


def node_times(model: bytes, inputs: Inputs, *, runs: int = 15, threads: int = 1) -> dict[str, float]:
    """Milliseconds of each node of the graph that ONNX Runtime runs: the median over runs, by the node's name.

    What the optimizer appends to a name is taken off. A node made of several keeps the name of one of them, in
    most cases that of the last.
    """
    with scratch_folder() as folder:
        session = open_session(model, threads, profile=str(folder / "profile"))
        for _ in range(WARM_UP_RUNS + runs):
            run_session(session, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(KERNEL):
            times[APPENDED.sub("", event["name"].removesuffix(KERNEL))].append(event["dur"] / 1e3)
    return {name: float(np.median(found[WARM_UP_RUNS:])) for name, found in times.items()}
