"""The fold of steps: each is checked, and the first that diverges is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, ParityError
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert, run_steps
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.step import Step, StepResult
from edgecompress.techniques.context import Context
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.networks import ConvNet, ResidualNet, images, seeded

PROBE = {"x": draw(2, 4, 8, 8)}
CONTEXT = Context(recipe=Recipe(), example=Batch(inputs=PROBE))


def _scaled(factor: float) -> ir.Model:
    return graph("y = Mul(x, k)", k=np.array(factor, np.float32))


def _step(name: str, factor: float, min_sqnr_db: float | None = 60.0) -> Step:
    def run(_model: ir.Model, _context: Context) -> StepResult[ir.Model]:
        return StepResult(model=_scaled(factor))

    return Step(name=name, what="", run=run, min_sqnr_db=min_sqnr_db)


def test_the_first_step_that_diverges_is_named() -> None:
    steps = [_step("export", 1.0), _step("simplify", 1.01), _step("canonicalize", 2.0)]
    with pytest.raises(ParityError, match=r"step 'simplify' changed what the model computes: 40\.0 dB"):
        run_steps(_scaled(1.0), _scaled(1.0), steps, PROBE, CONTEXT)


def test_a_step_without_floor_may_diverge_and_is_measured() -> None:
    done = run_steps(_scaled(1.0), _scaled(1.0), [_step("quantize", 1.1, None)], PROBE, CONTEXT)
    assert done[0].agreement.sqnr_db == pytest.approx(20.0, abs=1e-3)  # 20 log10(1 / 0.1)


def test_warnings_of_a_step_are_passed_on() -> None:
    told = Heard()

    def run(model: ir.Model, _context: Context) -> StepResult[ir.Model]:
        return StepResult(model=model, warnings=("onnxsim was left out",))

    step = Step(name="simplify", what="", run=run)
    run_steps(_scaled(1.0), _scaled(1.0), [step], PROBE, replace(CONTEXT, progress=told))
    assert told.lines == ["onnxsim was left out"]


def test_quantization_needs_calibration_data() -> None:
    recipe = Recipe(quantization=Quantization(enabled=True))
    example = open_batches(images(), "calibration", seeded(ConvNet), recipe).first()
    with pytest.raises(DataError, match="needs calibration data"):
        convert(seeded(ConvNet), Context(recipe=recipe, example=example))


def test_the_original_is_the_float_export() -> None:
    network, recipe = seeded(ConvNet), Recipe(quantization=Quantization(enabled=True))
    data = open_batches(images(), "calibration", network, recipe)
    conversion = convert(network, Context(recipe=recipe, example=data.first(), streams=Streams(calibration=data)))
    assert [step.name for step in conversion.done] == ["capture", "export", "simplify", "canonicalize", "quantize"]
    assert not any("Quantize" in node.op_type for node in conversion.original.graph)
    assert any(node.op_type == "QuantizeLinear" for node in conversion.artifact.graph)


@pytest.mark.parametrize("enabled", [False, True])
def test_the_artifact_holds_what_its_nodes_read_and_nothing_else(enabled: bool) -> None:
    network, recipe = seeded(ResidualNet), Recipe(quantization=Quantization(enabled=enabled))
    data = open_batches(images(), "calibration", network, recipe)
    conversion = convert(network, Context(recipe=recipe, example=data.first(), streams=Streams(calibration=data)))
    for model in (conversion.original, conversion.artifact):
        assert [value.name for value in model.graph.initializers.values() if not value.uses()] == []
        assert not model.metadata_props
        assert not any(node.metadata_props or node.doc_string for node in model.graph)
        assert not any(value.metadata_props for node in model.graph for value in node.outputs)
