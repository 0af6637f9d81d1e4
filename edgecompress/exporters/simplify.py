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
    _name_as_before(simplified.graph, model.graph)
    before, after = len(model.graph), len(simplified.graph)
    return StepResult(model=simplified, changes=(f"{plural(before, 'node')} became {after}",))


def _name_as_before(graph: ir.Graph, before: ir.Graph) -> None:
    """A layer that onnxsim made of others is called as the one whose weight it holds, and so is what it writes."""
    nodes = {node.name for node in before}
    values = {value.name for node in before for value in node.outputs}
    taken = {node.name for node in graph} | {value.name for node in graph for value in node.outputs}
    taken |= {*graph.initializers, *(value.name for value in graph.inputs)}
    for node in graph:
        layers = (_only_reader(before.initializers.get(str(value.name))) for value in node.inputs if value is not None)
        name = next((layer for layer in layers if layer is not None), None)
        if node.name in nodes or name is None or name in taken:
            continue
        node.name, output = name, node.outputs[0]
        taken.add(name)
        if output.name not in values and not output.is_graph_output():
            output.name = name


def _only_reader(weight: ir.Value | None) -> str | None:
    """The name of the only node that reads a weight."""
    readers = {user.name for user, _ in weight.uses()} if weight is not None else set()
    return readers.pop() if len(readers) == 1 else None


def _read(path: Path) -> ir.Model | None:
    try:
        return ir.from_proto(onnx.load(path))
    except Exception:  # whatever the child left behind; the caller has a model to go on with
        return None
