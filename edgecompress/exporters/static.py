"""Static INT8: calibrate, choose ranges, place, write QDQ, and read back what ONNX Runtime made of it."""

from __future__ import annotations

import onnx_ir as ir

from edgecompress.calibration import OBSERVERS, SCHEMES, Calibration, Demand, QuantParams, Sharing, collect
from edgecompress.data import Batches
from edgecompress.exporters.fusion import Fusion, read_fusion
from edgecompress.exporters.placement import Placement, place
from edgecompress.exporters.qdq import insert_qdq
from edgecompress.progress import Progress
from edgecompress.recipe import Quantization
from edgecompress.step import StepResult


def quantize_static(
    model: ir.Model, recipe: Quantization, batches: Batches, progress: Progress, sharing: Sharing | None = None
) -> StepResult[ir.Model]:
    """An INT8 copy of a float ONNX model.

    Args:
        model: float, not modified; its nodes and values have names.
        recipe: scheme, granularity, and what stays float.
        batches: calibration data, read twice.
        progress: told of every batch.
        sharing: the workers and the file of the calibration; by default this process alone, and none.

    Raises:
        DataError: the calibration data does not fit the model.
    """
    placement = place(model.graph, recipe.keep_float)
    calibration = collect(model, placement.pairs, batches, progress, sharing)
    params = activation_params(calibration, recipe)
    quantized = insert_qdq(model, placement, params, per_channel=recipe.granularity == "per_channel")
    fusion = read_fusion(model, quantized, placement)
    return StepResult(
        model=quantized,
        changes=_changes(fusion),
        refusals=(*placement.refusals, *fusion.unfused),
        warnings=_warnings(placement, fusion),
        metrics={"calibration_samples": calibration.samples, "calibration_digest": calibration.digest},
    )


def activation_params(calibration: Calibration, recipe: Quantization) -> dict[str, QuantParams]:
    """Scale and zero point of every calibrated tensor, by the recipe's observer and scheme."""
    scheme, observe = SCHEMES[recipe.scheme], OBSERVERS[recipe.observer]
    demand = Demand(quant_max=scheme.quant_max, percentile=recipe.percentile)
    ranges = {name: observe(calibration.statistics(name), demand) for name in calibration.histograms}
    return {name: scheme.activation_params(low, high) for name, (low, high) in ranges.items()}


def _changes(fusion: Fusion) -> tuple[str, ...]:
    totals = {op: count + fusion.floating.get(op, 0) for op, count in fusion.integer.items()}
    return tuple(f"{fusion.integer[op]} of {total} {op} run as integers" for op, total in sorted(totals.items()))


def _warnings(placement: Placement, fusion: Fusion) -> tuple[str, ...]:
    if not placement.placed:
        return ("no operator of this model has an integer kernel that pays; the artifact stays float",)
    return tuple(f"{one.kind} {one.name!r} was meant to be integer, but {one.reason}" for one in fusion.unfused)
