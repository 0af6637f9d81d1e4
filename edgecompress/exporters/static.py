"""Static INT8: calibrate, choose ranges, place, write QDQ, and read back what ONNX Runtime made of it."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.calibration import SCHEMES, Calibration, QuantParams, collect, histogram_l2_range
from edgecompress.data import Batches
from edgecompress.exporters.fusion import Fusion, read_fusion
from edgecompress.exporters.placement import Placement, place
from edgecompress.exporters.qdq import insert_qdq
from edgecompress.exporters.thresholds import align_thresholds
from edgecompress.progress import Progress
from edgecompress.recipe import Quantization
from edgecompress.step import StepResult


def quantize_static(
    model: ir.Model, recipe: Quantization, batches: Batches, progress: Progress
) -> StepResult[ir.Model]:
    """An INT8 copy of a float ONNX model.

    Args:
        model: float, not modified; its nodes and values have names.
        recipe: scheme, granularity, and what stays float.
        batches: calibration data, read twice.
        progress: told of every batch.

    Raises:
        DataError: the calibration data does not fit the model.
    """
    placement = place(model.graph, recipe.keep_float)
    calibration = collect(model, placement.pairs, batches, progress)
    params = activation_params(calibration, recipe.scheme)
    params = align_thresholds(model.graph, placement, params, SCHEMES[recipe.scheme])
    quantized = insert_qdq(model, placement, params, per_channel=recipe.granularity == "per_channel")
    fusion = read_fusion(model, quantized, placement)
    return StepResult(
        model=quantized,
        changes=_changes(fusion),
        refusals=(*placement.refusals, *fusion.unfused),
        warnings=_warnings(placement, fusion),
        metrics={"calibration_samples": calibration.samples, "calibration_digest": calibration.digest},
    )


def activation_params(calibration: Calibration, scheme: str) -> dict[str, QuantParams]:
    """Scale and zero point of every calibrated tensor, by the scheme's own observer."""
    params = {}
    for name, histogram in calibration.histograms.items():
        params[name] = SCHEMES[scheme].activation_params(*histogram_l2_range(histogram))
    return params


def _changes(fusion: Fusion) -> tuple[str, ...]:
    totals = {op: count + fusion.floating.get(op, 0) for op, count in fusion.integer.items()}
    return tuple(f"{fusion.integer[op]} of {total} {op} run as integers" for op, total in sorted(totals.items()))


def _warnings(placement: Placement, fusion: Fusion) -> tuple[str, ...]:
    if not placement.placed:
        return ("no operator of this model has an integer kernel that pays; the artifact stays float",)
    return tuple(f"{one.kind} {one.name!r} was meant to be integer, but {one.reason}" for one in fusion.unfused)
