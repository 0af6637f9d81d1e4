"""A lowering: all that decides how one float model is written as integers.

The passes that recover accuracy take a lowering and return another; only the last one becomes a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgecompress.calibration import (
    FBGEMM,
    FBGEMM_NARROW_WEIGHTS,
    OBSERVERS,
    QNNPACK,
    Calibration,
    Demand,
    QuantParams,
    Scheme,
)
from edgecompress.exporters.placement import Placement
from edgecompress.exporters.qdq import insert_qdq
from edgecompress.exporters.thresholds import align_thresholds
from edgecompress.exporters.weights import weight_grids
from edgecompress.recipe import Quantization


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """A float model and its integers.

    ``params`` are uint8 scale and zero point for each value in ``placement.pairs``; ``weights`` are int8
    scales by name of node. They stay what they are while the model's weights and biases move.
    """

    model: ir.Model
    scheme: Scheme
    placement: Placement
    params: Mapping[str, QuantParams]
    weights: Mapping[str, QuantParams]

    def write(self) -> ir.Model:
        """The INT8 model."""
        return insert_qdq(self.model, self.placement, self.params, self.weights)


def lower(
    model: ir.Model, placement: Placement, calibration: Calibration, recipe: Quantization, scheme: Scheme
) -> Lowering:
    """The lowering of a model by a scheme: ranges by the recipe's observer, weights to the nearest integer."""
    params = activation_params(calibration, recipe, scheme)
    return Lowering(
        model=model,
        scheme=scheme,
        placement=placement,
        params=align_thresholds(model.graph, placement, params, scheme),
        weights=weight_grids(model.graph, placement, scheme, per_channel=recipe.granularity == "per_channel"),
    )


def schemes(recipe: Quantization) -> tuple[Scheme, ...]:
    """The schemes that the recipe lets compete; the calibration data decides among them."""
    if recipe.scheme == "qnnpack":
        return (QNNPACK,)
    return {
        "activations": (FBGEMM,),
        "weights": (FBGEMM_NARROW_WEIGHTS,),
        "auto": (FBGEMM, FBGEMM_NARROW_WEIGHTS),
    }[recipe.narrow]


def activation_params(calibration: Calibration, recipe: Quantization, scheme: Scheme) -> dict[str, QuantParams]:
    """Scale and zero point of every calibrated tensor, by the recipe's observer."""
    observe = OBSERVERS[recipe.observer]
    demand = Demand(quant_max=scheme.quant_max, percentile=recipe.percentile)
    ranges = {name: observe(calibration.statistics(name), demand) for name in calibration.histograms}
    return {name: scheme.activation_params(low, high) for name, (low, high) in ranges.items()}
