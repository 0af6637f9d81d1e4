"""Inspection: the layers of a model or an artifact that hold weights, and what each costs as integers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import onnx_ir as ir
import torch
from torch import nn
from torch.export import ExportedProgram

from edgecompress.calibration import collect
from edgecompress.contained import require_survives
from edgecompress.conversion import convert, open_batches, open_source
from edgecompress.errors import ModelError, first_line
from edgecompress.exporters.canonicalize import prepare_for_integers
from edgecompress.exporters.lowering import lower, schemes
from edgecompress.exporters.placement import place
from edgecompress.exporters.sensitivity import Sensitivity, rank_layers
from edgecompress.loading import load_model
from edgecompress.named_inputs import name_inputs
from edgecompress.plan import check_onnx
from edgecompress.progress import Progress
from edgecompress.recipe import Pruning, Quantization
from edgecompress.runtime import signature
from edgecompress.streams import Streams
from edgecompress.targets import TargetProfile


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: ``shape`` is that of its largest constant, ``bytes`` what all of them occupy."""

    name: str
    kind: str
    shape: tuple[int, ...]
    precision: str
    parameters: int
    bytes: int


def inspect_model(spec: str, weights: str | None = None) -> list[Layer]:
    """The layers with weights of a MODEL or an ONNX file, quantized or not.

    Raises:
        ModelError: it cannot be loaded.
    """
    if Path(spec).suffix == ".onnx":
        return onnx_layers(_read(Path(spec)).graph)
    network = load_model(spec, weights)
    if isinstance(network, ExportedProgram):
        return [_tensor_layer(name, "tensor", {name: tensor}) for name, tensor in network.state_dict.items()]
    assert isinstance(network, nn.Module)
    return _module_layers(network)


def inspect_sensitivity(
    spec: str, weights: str | None, profile: TargetProfile, calibration: str, progress: Progress
) -> list[Sensitivity]:
    """What each layer costs in accuracy as integers and in time as floats, the dearest first.

    Args:
        spec: MODEL.
        weights: its weights.
        profile: its recipe says how the model is quantized.
        calibration: DATA.
        progress: told of every layer.

    Raises:
        ModelError: the model cannot be loaded or captured.
        DataError: the data is missing or does not fit.
    """
    source = open_source(calibration, "calibration", profile.recipe)
    network = name_inputs(load_model(spec, weights), source)
    if isinstance(network, ir.Model):
        check_onnx(network)
    batches = open_batches(source, "calibration", network, profile.recipe)
    recipe = profile.recipe.model_copy(update={"quantization": Quantization(), "pruning": Pruning()})
    model = prepare_for_integers(convert(network, recipe, batches.first(), Streams(), progress).artifact).model
    fitted = replace(batches, signature=signature(model))
    placement = place(model.graph, profile.recipe.quantization.keep_float)
    seen = collect(model, placement.pairs, fitted, progress)
    quantization = profile.recipe.quantization
    return rank_layers(model, lower(model, placement, seen, quantization, schemes(quantization)[0]), fitted, progress)


def _read(path: Path) -> ir.Model:
    """An ONNX file; unlike :func:`load_model`, this takes quantized ones too."""
    if not path.is_file():
        raise ModelError(f"model file {str(path)!r} does not exist")
    require_survives(path, repr(str(path)), ModelError, "export it again, or in other operators")
    try:
        onnx.checker.check_model(str(path))
        return ir.load(path)
    except Exception as error:
        raise ModelError(f"{str(path)!r} is not a valid ONNX model: {first_line(error)}") from None


def _module_layers(module: nn.Module) -> list[Layer]:
    layers = []
    for name, part in module.named_modules():
        own = dict(part.named_parameters(recurse=False))
        if own:
            layers.append(_tensor_layer(name or "(model)", type(part).__name__, own))
    return layers


def _tensor_layer(name: str, kind: str, tensors: dict[str, torch.Tensor] | dict[str, nn.Parameter]) -> Layer:
    largest = max(tensors.values(), key=torch.Tensor.numel)
    return Layer(
        name=name,
        kind=kind,
        shape=tuple(largest.shape),
        precision=str(largest.dtype).removeprefix("torch."),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()),
    )


def onnx_layers(graph: ir.Graph) -> list[Layer]:
    """The nodes of an ONNX graph that hold weights, quantized or not."""
    layers = []
    for node in graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        constants = [tensor for value in node.inputs if (tensor := _stored(value)) is not None and _is_weight(tensor)]
        if constants:
            largest = max(constants, key=lambda tensor: tensor.size)
            layers.append(
                Layer(
                    name=str(node.name),
                    kind=node.op_type,
                    shape=tuple(int(size) for size in largest.shape.numpy()),
                    precision=largest.dtype.name.lower(),
                    parameters=sum(tensor.size for tensor in constants),
                    bytes=sum(tensor.nbytes for tensor in constants),
                )
            )
    return layers


def _is_weight(tensor: ir.TensorProtocol) -> bool:
    """Whether a constant is learned; scalars and int64 (shapes, axes) are not."""
    return tensor.size > 1 and tensor.dtype is not ir.DataType.INT64


def _stored(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The constant behind an input, seen through a DequantizeLinear."""
    if value is None:
        return None
    producer = value.producer()
    if producer is not None and producer.op_type == "DequantizeLinear":
        value = producer.inputs[0]
    return None if value is None else ir.convenience.get_const_tensor(value)
