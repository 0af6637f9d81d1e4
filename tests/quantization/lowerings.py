"""Lowerings of graphs that are written as text, for the tests of what is made of one."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from edgecompress.calibration import collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.progress import Progress
from edgecompress.quantization.kept_float import kept_float
from edgecompress.quantization.lowering import Lowering, lower, schemes
from edgecompress.quantization.placement import place
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import Array


def lowering_of(model: ir.Model, *data: Array, **options: Any) -> Lowering:
    """The lowering with all integer that the table allows, for a model with one input ``x``, calibrated on ``data``."""
    recipe = Quantization.model_validate({"enabled": True, "scheme": "fbgemm"} | options)
    batches = Batches(role="calibration", source=lambda: data, inputs=InputNames(names=("x",), required=1))
    placement = place(model.graph, kept_float(model.graph, recipe))
    calibration = collect(model, placement.pairs, batches, Progress())
    return lower(model, placement, calibration, recipe, schemes(recipe)[0])
