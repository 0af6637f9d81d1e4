"""Recovery: a pass stays where the outputs agree more after it, and is undone where they agree less."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.calibration import FBGEMM, collect
from edgecompress.data.batches import Batches, InputNames
from edgecompress.exporters.graph import constant, replace_constant
from edgecompress.progress import Progress
from edgecompress.quantization import recovery
from edgecompress.quantization.lowering import Lowering, lower
from edgecompress.quantization.placement import place
from edgecompress.quantization.recovery import recover
from edgecompress.recipe.tables import Quantization
from tests.exporters.graphs import draw, graph

PADS = "pads=[1,1,1,1]"
DATA = [np.abs(draw(16, 4, 8, 8, seed=seed)) for seed in range(2)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
W = draw(4, 4, 3, 3) * 0.02 + np.eye(4, dtype=np.float32)[:, :, None, None]


def _lowered() -> tuple[ir.Model, Lowering]:
    model = graph(f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}>(r, w)", w=W, b=draw(4, seed=2))
    placement = place(model.graph)
    calibration = collect(model, placement.pairs, BATCHES, Progress())
    return model, lower(model, placement, calibration, Quantization(enabled=True), FBGEMM)


def _spoil(lowering: Lowering, batches: Batches, progress: Progress) -> Lowering:
    model = lowering.model.clone()
    first = next(iter(model.graph))
    bias = constant(first.inputs[2])
    assert bias is not None
    replace_constant(model.graph, first, 2, bias + 1)
    return replace(lowering, model=model)


def test_without_a_pass_nothing_changes() -> None:
    model, lowering = _lowered()
    recovered = recover(model, lowering, Quantization(enabled=True), BATCHES, Progress())
    assert recovered.lowering is lowering
    assert recovered.changes == ()


def test_each_pass_that_helps_is_kept_and_told_of() -> None:
    model, lowering = _lowered()
    plain = recover(model, lowering, Quantization(enabled=True), BATCHES, Progress())
    recipe = Quantization(enabled=True, adaround=True, bias_correction=True)
    recovered = recover(model, lowering, recipe, BATCHES, Progress())
    assert recovered.agreement.sqnr_db > plain.agreement.sqnr_db + 0.5
    assert [line.split(":")[0] for line in recovered.changes] == ["adaround", "bias correction"]


def test_a_pass_that_hurts_is_undone_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lowering = _lowered()
    monkeypatch.setitem(recovery.PASSES, "bias_correction", _spoil)
    recovered = recover(model, lowering, Quantization(enabled=True, bias_correction=True), BATCHES, Progress())
    assert recovered.lowering is lowering
    assert recovered.changes[0].endswith("undone")
