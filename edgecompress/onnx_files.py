"""ONNX files as users bring them: weights in files beside the model, old opsets, integers inside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgecompress.contained import require_survives
from edgecompress.data import Inputs, TensorSpec
from edgecompress.errors import ModelError, first_line
from edgecompress.metrics import Agreement
from edgecompress.runtime import execute, signature

MAX_BYTES = 2**31 - 1
"""What one protobuf message holds, and with it an ONNX model that is handed on in one piece."""
LEAST_OPSET, UPGRADED_OPSET, UPGRADED_IR_VERSION = 13, 18, 8
"""From opset 13 on, a tensor can have a scale for each channel."""
MIN_UPGRADE_DB = 100.0
INTEGER_OPS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")


def read_onnx(path: Path) -> ir.Model:
    """A model with all of its weights in memory, at opset 13 or later.

    Weights in other files are read where these lie in the model's folder. An older opset is upgraded by
    ``onnx.version_converter`` where the outputs stay the same.

    Raises:
        ModelError: it is no valid model, larger than 2 GB with its weights, or cannot be upgraded.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{str(path)!r} is larger than 2 GB, the limit of one ONNX file; give a smaller model")
    try:
        model = ir.load(path)
    except Exception as error:
        raise ModelError(f"{str(path)!r} is not a valid ONNX model: {first_line(error)}; export it again") from None
    _check_external(model, path)
    require_survives(path, repr(str(path)), ModelError, "export it again, or in other operators")
    try:
        onnx.checker.check_model(str(path))
        ir.external_data.load_to_model(model)
        _require_text(model)
    except Exception as error:
        raise ModelError(f"{str(path)!r} is not a valid ONNX model: {first_line(error)}; export it again") from None
    # Before IR version 4 weights were listed as inputs, too; nobody means to feed them.
    passes.RemoveInitializersFromInputsPass()(model)
    return model if opset_of(model) >= LEAST_OPSET else _upgrade(model, path)


def require_file(path: Path) -> None:
    """Check that a model's file is there.

    Raises:
        ModelError: it is not, or it is a folder.
    """
    if path.is_dir():
        raise ModelError(f"{str(path)!r} is a folder; give a file in it, {path / 'model.onnx'} for a bundle")
    if not path.is_file():
        raise ModelError(f"model file {str(path)!r} does not exist; check the path")


def _require_text(model: ir.Model) -> None:
    """Hold every name against Unicode: other bytes are read as they are, and cannot be written again.

    Raises:
        ValueError: there is a name that is no text.
    """
    graph = model.graph
    texts: list[Any] = [model.producer_name, model.producer_version, model.domain, model.doc_string, graph.name]
    for node in graph.all_nodes():
        texts += [node.name, node.op_type, node.domain]
        texts += [value.name for value in (*node.inputs, *node.outputs) if value is not None]
    wrong = next((text for text in texts if isinstance(text, bytes)), None)
    if wrong is not None:
        raise ValueError(f"the name {wrong!r} is no UTF-8 text")


def is_quantized(model: ir.Model) -> bool:
    """Whether integers are at work in a model already."""
    return any(node.op_type in INTEGER_OPS or node.op_type.startswith("QLinear") for node in model.graph.all_nodes())


def opset_of(model: ir.Model) -> int:
    """The version of the default operator set."""
    return model.opset_imports.get("", 0)


def _check_external(model: ir.Model, path: Path) -> None:
    """Refuse weights that lie elsewhere than beside the model, or that are too many."""
    folder, total = path.resolve().parent, path.stat().st_size
    for tensor in _external(model):
        place = folder / tensor.location
        if not place.resolve().is_relative_to(folder):
            raise ModelError(
                f"{str(path)!r} keeps weights in {str(tensor.location)!r}, outside of its folder, which is not read;"
                " save the model with its weights beside it"
            )
        if not place.is_file():
            raise ModelError(
                f"{str(path)!r} keeps weights in {str(tensor.location)!r}, which does not exist; put it there"
            )
        total += tensor.nbytes
    if total > MAX_BYTES:
        raise ModelError(
            f"{str(path)!r} has {total / 1e9:.1f} GB with its external weights; ONNX Runtime and onnxsim take"
            " at most 2 GB in one piece, give a smaller model"
        )


def _external(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    """Every tensor whose values lie in another file, in subgraphs and functions too."""
    graphs = [model.graph, *model.graph.subgraphs()]
    nodes = [
        *model.graph.all_nodes(),
        *(node for function in model.functions.values() for node in function.all_nodes()),
    ]
    tensors = [value.const_value for graph in graphs for value in graph.initializers.values()]
    for node in nodes:
        for attribute in node.attributes.values():
            if attribute.type is ir.AttributeType.TENSOR:
                tensors.append(attribute.as_tensor())
            elif attribute.type is ir.AttributeType.TENSORS:
                tensors.extend(attribute.as_tensors())
    return (tensor for tensor in tensors if isinstance(tensor, ir.ExternalTensor))


def _upgrade(model: ir.Model, path: Path) -> ir.Model:
    """The model at opset 18, where it answers as before."""
    # The converter takes initializers that are no inputs only from IR version 4 on.
    model.ir_version = max(model.ir_version, UPGRADED_IR_VERSION)
    version, mend = opset_of(model), "export it again with opset 18 or later"
    try:
        upgraded = ir.from_proto(onnx.version_converter.convert_version(ir.to_proto(model), UPGRADED_OPSET))
        probe = {spec.name: _draw(spec) for spec in signature(model)}
        agreement = Agreement.between(_outputs(model, probe), _outputs(upgraded, probe))
    except Exception as error:
        raise ModelError(
            f"{str(path)!r} has opset {version} and cannot be upgraded: {first_line(error)}; {mend}"
        ) from None
    if agreement.sqnr_db < MIN_UPGRADE_DB:
        raise ModelError(f"{str(path)!r} has opset {version}, and answers differently when upgraded; {mend}")
    return upgraded


def _outputs(model: ir.Model, probe: Inputs) -> list[np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    return [np.nan_to_num(output) for output in execute(model, probe)]


def _draw(spec: TensorSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Something to compare two models on: normal values, or zeros, which any lookup takes."""
    shape = [size if isinstance(size, int) else 2 for size in spec.shape]
    if spec.dtype.kind == "f":
        return np.random.default_rng(0).standard_normal(shape).astype(spec.dtype)
    return np.zeros(shape, spec.dtype)
