"""ONNX files as users bring them: weights in other files, wrong shapes, old opsets, integers inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.errors import ModelError, first_line
from edgecompress.exporters.graph import external_tensors
from edgecompress.system import onnx_sanitizer
from edgecompress.system.isolation import sanitize_onnx
from edgecompress.system.onnx_sanitizer import LEAST_OPSET
from edgecompress.system.scratch import scratch_folder

MAX_BYTES = 2**31 - 1
"""What one protobuf message holds, and with it an ONNX model that is handed on in one piece."""
REPAIRS = "edgecompress.repairs"
"""Key under which a model in memory keeps what was repaired; it is not written to a file."""
INTEGER_OPS = ("QuantizeLinear", "DequantizeLinear", "ConvInteger", "QGemm", "QAttention")
INTEGER_PREFIXES = ("QLinear", "DynamicQuantize", "MatMulInteger")
"""How the other integer operators begin, those that ONNX Runtime's optimizer writes included."""


def read_onnx(path: Path, *, upgrade: bool = True) -> ir.Model:
    """A model with all of its weights in memory, at opset 13 or later.

    Weights in other files are read where these lie in the model's folder. What exporters declare wrongly is repaired
    where that is unambiguous (:func:`repairs` tells of it). An older opset is upgraded by ``onnx.version_converter``
    where the outputs stay the same.

    Args:
        path: the file.
        upgrade: leave the opset as it is where this is False.

    Raises:
        ModelError: it is no valid model, larger than 2 GB with its weights, or cannot be upgraded; or it breaks ONNX
            or ONNX Runtime.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{str(path)!r} is larger than 2 GB, the limit of one ONNX file; give a smaller model")
    _check_external(_as_it_is(path), path)
    with scratch_folder() as folder:
        broken = sanitize_onnx(path, folder, upgrade=upgrade)
        if broken is not None:
            raise ModelError(f"{str(path)!r} breaks {broken}; export it again, or in other operators")
        told = json.loads((folder / onnx_sanitizer.TOLD).read_text())
        if told["fault"] is not None:
            raise ModelError(f"{str(path)!r} {told['fault']}")
        model = ir.from_proto(onnx.load(folder / onnx_sanitizer.RESULT))
    # Before IR version 4 weights were listed as inputs, too; nobody means to feed them.
    passes.RemoveInitializersFromInputsPass()(model)
    model.meta[REPAIRS] = tuple(told["notes"])
    return model


def repairs(model: ir.Model) -> tuple[str, ...]:
    """What was repaired in a model as it was read, in words."""
    return tuple(model.meta.get(REPAIRS, ()))


def _as_it_is(path: Path) -> ir.Model:
    try:
        model = ir.load(path)
        _require_text(model)
    except Exception as error:
        raise ModelError(f"{str(path)!r} is not a valid ONNX model: {first_line(error)}; export it again") from None
    return model


def _require_text(model: ir.Model) -> None:
    """Hold names, notes and metadata against Unicode: other bytes are read as they are, and cannot be written again.

    Raises:
        ValueError: one is no text.
    """
    graph = model.graph
    texts: list[Any] = [model.producer_name, model.producer_version, model.domain, *_notes(model), graph.name]
    for node in graph.all_nodes():
        texts += [node.name, node.op_type, node.domain, *_notes(node)]
        for value in (*node.inputs, *node.outputs):
            texts += [] if value is None else [value.name, *_notes(value)]
    texts += [text for part in (graph, *graph.inputs, *graph.outputs) for text in _notes(part)]
    wrong = next((text for text in texts if isinstance(text, bytes)), None)
    if wrong is not None:
        raise ValueError(f"the name {wrong!r} is no UTF-8 text")


def _notes(part: Any) -> list[Any]:
    """Of a model, a graph, a node or a value."""
    return [part.doc_string, *(text for entry in part.metadata_props.items() for text in entry)]


def is_quantized(model: ir.Model) -> bool:
    """Whether integers are at work in a model already."""
    return any(
        node.op_type in INTEGER_OPS or node.op_type.startswith(INTEGER_PREFIXES) for node in model.graph.all_nodes()
    )


def opset_of(model: ir.Model) -> int:
    """The version of the default operator set."""
    return model.opset_imports.get("", 0)


def _check_external(model: ir.Model, path: Path) -> None:
    """Refuse weights that lie in another folder than the model, or that are too many."""
    folder, total = path.resolve().parent, path.stat().st_size
    for tensor in external_tensors(model):
        place = folder / tensor.location
        if not place.resolve().is_relative_to(folder):
            raise ModelError(
                f"{str(path)!r} keeps weights in {str(tensor.location)!r}, outside of its folder, which is not read;"
                " save the model with its weights in the same folder"
            )
        if not place.is_file():
            raise ModelError(
                f"{str(path)!r} keeps weights in {str(tensor.location)!r}, which does not exist; put it there"
            )
        if not tensor.nbytes <= min(tensor.length or MAX_BYTES, place.stat().st_size - (tensor.offset or 0)):
            raise ModelError(
                f"{str(path)!r} is not a valid ONNX model: the weights in {str(tensor.location)!r} are cut short;"
                " export it again"
            )
        total += tensor.nbytes
    if total > MAX_BYTES:
        raise ModelError(
            f"{str(path)!r} has {total / 1e9:.1f} GB with its external weights; ONNX Runtime and onnxsim take"
            " at most 2 GB in one piece, give a smaller model"
        )


def check_onnx(model: ir.Model) -> None:
    """Refuse an ONNX model that cannot be quantized.

    Raises:
        ModelError: it is quantized already, or its opset is too old.
    """
    if is_quantized(model):
        raise ModelError("the ONNX model is quantized already; give the float model, or set quantization.enabled=false")
    if opset_of(model) < LEAST_OPSET:
        raise ModelError(f"the ONNX model has opset {opset_of(model)}; export it again with opset 18 or later")
