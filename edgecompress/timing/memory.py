"""Memory: what a session needs in addition to the runtime, as the peak of a process that does nothing else."""

from __future__ import annotations

import subprocess  # of Python itself, with a program of ours  # nosec B404
import sys
from pathlib import Path

import numpy as np
import onnx

from edgecompress.arrays import Inputs
from edgecompress.system.scratch import scratch_folder

LIMIT_S = 300.0
NOTHING = '<ir_version: 8, opset_import: ["" : 13]> nothing () => (float y) { y = Constant<value_float = 0.0>() }'
# The peak is read from /proc: what getrusage says includes the parent's, from before the child was replaced. The child
# imports nothing of edgecompress, so that it starts quickly and stays small.
CHILD = """
import sys
import numpy, onnxruntime
threads, model, inputs = int(sys.argv[1]), *sys.argv[2:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
with numpy.load(inputs, allow_pickle=False) as pack:
    feed = {name.removeprefix("input_"): pack[name] for name in pack.files}
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
taken = {spec.name for spec in session.get_inputs()}
for _ in range(3):
    session.run(None, {name: array for name, array in feed.items() if name in taken})
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(1024 * int(status["VmHWM"].split()[0]))
"""


def session_bytes(model: Path, inputs: Inputs, threads: int) -> int | None:
    """Bytes that a session needs to be loaded and to run three times, above one of a graph that holds nothing.

    Args:
        model: an ONNX file.
        inputs: what it is run on; they count in both processes.
        threads: intra-op threads; each has a stack and buffers of its own.

    Returns:
        None where the system does not tell the peak (other than Linux), or the file does not run.
    """
    with scratch_folder() as folder:
        feed = folder / "inputs.npz"
        np.savez(feed, allow_pickle=False, **{f"input_{name}": array for name, array in inputs.items()})
        nothing = folder / "nothing.onnx"
        nothing.write_bytes(onnx.parser.parse_model(NOTHING).SerializeToString())
        peaks = [_peak(file, feed, threads) for file in (nothing, model)]
    empty, used = peaks
    return None if empty is None or used is None else max(used - empty, 0)


def _peak(model: Path, inputs: Path, threads: int) -> int | None:
    # -P: the current folder may hold a user's own onnxruntime.py, which must not be imported here.
    command = [sys.executable, "-P", "-c", CHILD, str(threads), str(model), str(inputs)]
    try:
        done = subprocess.run(  # no shell  # nosec B603
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return int(done.stdout) if done.returncode == 0 else None
