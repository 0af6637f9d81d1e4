"""Inspection: the layers of a model or an artifact, what each takes, and what is lost with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
from torch import nn

from edgecompress.diagnosis.layers import Inspection, Layer, module_layers, tensor_layer
from edgecompress.diagnosis.onnx_layers import declared_layers, onnx_layers
from edgecompress.errors import ModelError
from edgecompress.inspection.modules import exported_layers, measured_modules
from edgecompress.inspection.sensitivity import Halved, LayerSensitivity, Sensitivities, layer_sensitivity
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.models import given_model
from edgecompress.loading.onnx_files import check_onnx, read_onnx
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network, network_rows, signature, to_bytes
from edgecompress.system.isolation import require_file

__all__ = [
    "Halved",
    "Inspection",
    "Layer",
    "LayerSensitivity",
    "Sensitivities",
    "inspect_model",
    "inspect_sensitivity",
    "onnx_layers",
]

NO_EXAMPLE = "neither counted nor timed: there is no input to run it on; give calibration data"


def inspect_model(
    given: Network | str | Path,
    weights: str | Path | None,
    calibration: Data | None,
    recipe: Recipe,
    progress: Progress,
) -> Inspection:
    """The layers with weights of a MODEL or an ONNX file, quantized or not, for one sample.

    Args:
        given: a network or MODEL; an ONNX model is taken as it is.
        weights: of a module that MODEL names.
        calibration: DATA; one sample of it is run; without it an ONNX file is run on inputs of the shapes that it
            declares, and a MODEL is not run.
        recipe: how a MODEL is exported, and images are read.
        progress: told of the export.

    Raises:
        ModelError: it cannot be loaded, or, with data, run or captured.
        DataError: the data is missing or does not fit.
    """
    network = _as_it_is(given, weights, progress)
    if isinstance(network, ir.Model):
        return _onnx(network, calibration, recipe)
    if calibration is None:
        if isinstance(network, nn.Module):
            return Inspection(layers=tuple(module_layers(network)), notes=(NO_EXAMPLE,))
        tensors = (tensor_layer(name, "tensor", {name: tensor}) for name, tensor in network.state_dict.items())
        return Inspection(layers=tuple(tensors), notes=(NO_EXAMPLE,))
    opened = open_together(network, {"calibration": calibration}, recipe, progress.warn)
    network, recipe, example = opened.network, opened.recipe, opened.first()
    if isinstance(network, nn.Module):
        return measured_modules(network, example, recipe, progress)
    return exported_layers(network, example, recipe, progress)


def _as_it_is(given: Network | str | Path, weights: str | Path | None, progress: Progress) -> Network:
    """A network, without what a file needs to be compressed: an ONNX file keeps its version."""
    if not isinstance(given, (str, Path)) or Path(given).suffix != ".onnx":
        return given_model(given, weights, progress)
    if weights is not None:
        raise ModelError(
            f"weights {str(weights)!r} are for a module, and {str(given)!r} holds its own; leave --weights out"
        )
    require_file(Path(given))
    return read_onnx(Path(given), upgrade=False)


def _onnx(model: ir.Model, calibration: Data | None, recipe: Recipe) -> Inspection:
    if calibration is None:
        return declared_layers(to_bytes(model))
    opened = open_together(model, {"calibration": calibration}, recipe)
    batches = replace(opened.batches["calibration"], signature=signature(model))
    return onnx_layers(to_bytes(model), batches.first().sample(network_rows(model, batches.axes) or 1).inputs)


def inspect_sensitivity(
    given: Network | str | Path,
    weights: str | Path | None,
    recipe: Recipe,
    data: Mapping[str, Data],
    progress: Progress,
    by: MeasuredBy = AS_NAMED,
) -> Sensitivities:
    """What the outputs lose with one layer at a time as integers, and with half of its channels.

    Args:
        given: a network or MODEL.
        weights: of a module that MODEL names.
        recipe: how the model is quantized, and the metric.
        data: DATA by role: ``calibration``; and ``evaluation``, with labels, where the metric is to be measured, too.
        progress: told of every layer.
        by: the metric and postprocessing in place of those that the recipe names.

    Raises:
        ModelError: the model cannot be loaded or captured.
        DataError: the data is missing or does not fit.
    """
    opened = open_together(given_model(given, weights, progress), data, by.named_in(recipe), progress.warn, by)
    if isinstance(opened.network, ir.Model):
        check_onnx(opened.network)
    calibration, evaluation = opened.batches["calibration"], opened.batches.get("evaluation")
    rows = layer_sensitivity(opened.network, opened.recipe, calibration, progress, evaluation)
    return Sensitivities(layers=tuple(rows), measure=None if evaluation is None else evaluation.measure)
