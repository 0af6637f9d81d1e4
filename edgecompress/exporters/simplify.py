"""Simplification by onnxsim, in a child process.

onnxsim is C++ and has crashed on users' models; there, a crash or a hang costs a warning, not the run.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from edgecompress.errors import plural
from edgecompress.runtime import to_bytes
from edgecompress.step import StepResult
from edgecompress.system.isolation import TIMEOUT_S, run_isolated
from edgecompress.system.scratch import scratch_folder

CHILD = """
import sys, onnx, onnxsim
model, same = onnxsim.simplify(onnx.load(sys.argv[1]))
if not same:
    sys.exit("the simplified model answers differently")
onnx.save(model, sys.argv[2])
"""


def simplify(model: ir.Model, child: str = CHILD, timeout_s: float = TIMEOUT_S) -> StepResult[ir.Model]:
    """The model as onnxsim leaves it, or the model itself with a warning.

    A child process that crashes, runs longer than ``timeout_s`` seconds, or writes nothing that can be
    read costs the simplification, not the run.
    """
    with scratch_folder() as folder:
        source, result = folder / "model.onnx", folder / "simplified.onnx"
        source.write_bytes(to_bytes(model))
        fault = run_isolated(child, [str(source), str(result)], timeout_s=timeout_s)
        simplified = _read(result) if fault is None else None
    if simplified is None:
        reason = fault or "it wrote no model that can be read"
        return StepResult(model=model, warnings=(f"onnxsim was left out: {reason}",))
    simplified.producer_name = model.producer_name
    # onnxsim writes its options here; what the user wrote stays.
    simplified.metadata_props.clear()
    simplified.metadata_props.update(model.metadata_props)
    before, after = len(model.graph), len(simplified.graph)
    return StepResult(model=simplified, changes=(f"{plural(before, 'node')} became {after}",))


def _read(path: Path) -> ir.Model | None:
    try:
        return ir.from_proto(onnx.load(path))
    except Exception:  # whatever the child left behind; the caller has a model to go on with
        return None
