"""The steps from a network to a canonical ONNX model; none of them may change what the network computes."""

from __future__ import annotations

import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.axes.batch import declaring
from edgecompress.errors import ModelError
from edgecompress.exporters.canonicalize import canonicalize, prepare_for_integers
from edgecompress.exporters.onnx import to_onnx
from edgecompress.exporters.simplify import simplify
from edgecompress.modules.capture import capture
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, to_bytes
from edgecompress.step import Step, StepResult
from edgecompress.system.isolation import require_bytes_survive
from edgecompress.techniques.context import Context


def steps_to_onnx(network: Network, recipe: Recipe) -> tuple[Step, ...]:
    """What is left to do for a module, a program or an ONNX model; the last step's model could ship."""
    floor, batch = recipe.export.min_sqnr_db, recipe.export.batch_size
    steps = []
    if isinstance(network, nn.Module):
        what = f"torch.export, batch dimension {'dynamic' if batch is None else f'fixed at {batch}'}"
        steps.append(Step(name="capture", what=what, run=capture_program, min_sqnr_db=floor))
    if not isinstance(network, ir.Model):
        what = f"ONNX, opset {recipe.export.opset}"
        steps.append(Step(name="export", what=what, run=export_program, min_sqnr_db=floor, shared=True))
    if recipe.export.simplify:
        what = "onnxsim, in a child process"
        steps.append(Step(name="simplify", what=what, run=simplify_model, min_sqnr_db=floor, shared=True))
    what = "operators with an integer kernel in place of those without"
    steps.append(
        Step(name="canonicalize", what=what, run=canonicalize_model, min_sqnr_db=floor, ships=True, shared=True)
    )
    return tuple(steps)


def capture_program(module: nn.Module, context: Context) -> StepResult[ExportedProgram]:
    """The module as a program of ``torch.export``."""
    return StepResult(model=capture(module, context.example, context.recipe.export))


def export_program(program: ExportedProgram, context: Context) -> StepResult[ir.Model]:
    """The program as float ONNX.

    Raises:
        ModelError: the C++ that reads the file does not survive it.
    """
    model, rows = to_onnx(program, context.recipe.export), context.recipe.export.batch_size
    model = declaring(model, context.example.sample(rows)) if rows else model
    require_bytes_survive(to_bytes(model), "the exported model", ModelError, "write it in other operators")
    return StepResult(model=model)


def simplify_model(model: ir.Model, _context: Context) -> StepResult[ir.Model]:
    """The model after onnxsim, or as it was where that fails."""
    return simplify(model)


def canonicalize_model(model: ir.Model, context: Context) -> StepResult[ir.Model]:
    """The model in the operators that quantization knows, or that ONNX Runtime runs fastest."""
    return (prepare_for_integers if "quantization" in context.recipe.techniques else canonicalize)(model)
