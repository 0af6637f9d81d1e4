"""The steps that quantize: equalization keeps what the network computes, and the run stops where it does not."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgecompress.data.batches import Batches, InputNames
from edgecompress.data.splits import Streams
from edgecompress.errors import ParityError
from edgecompress.exporters.graph import replace_constant
from edgecompress.pipeline.fold import convert
from edgecompress.pipeline.plan import conversion_steps
from edgecompress.quantization.equalization import equalize
from edgecompress.quantization.weights import constant_weight
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.step import Conversion
from edgecompress.targets import effective_profile
from edgecompress.techniques.context import Context
from edgecompress.techniques.steps.quantization import plan_steps
from tests.exporters.graphs import draw, graph

DATA = [draw(8, 4, 8, 8, seed=seed) for seed in range(3)]
BATCHES = Batches(role="calibration", source=lambda: DATA, inputs=InputNames(names=("x",), required=1))
SCALES = np.array([1.0, 0.01, 30.0, 0.2], np.float32)
LAYERS = "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, v)"


def _model() -> ir.Model:
    """Two convolutions, and channels between them of very different sizes that count alike."""
    first, second = draw(4, 4, 3, 3) * 0.2, draw(4, 4, 3, 3, seed=1) * 0.3
    weights = {"w": first * SCALES.reshape(4, 1, 1, 1), "v": second / SCALES.reshape(1, 4, 1, 1)}
    return graph(LAYERS, **weights, b=draw(4, seed=3) * SCALES)


def _recipe(**quantized: Any) -> Recipe:
    table = {"enabled": True, "granularity": "per_tensor", "integer_entry": True, **quantized}
    return Recipe(quantization=Quantization(**table))


def _convert(recipe: Recipe) -> Conversion:
    return convert(_model(), Context(recipe=recipe, example=BATCHES.first(), streams=Streams(calibration=BATCHES)))


@pytest.mark.parametrize(("prefer", "told"), [("speed", False), ("size", True)])
def test_the_plan_says_where_size_is_preferred(prefer: str, *, told: bool) -> None:
    (step,) = conversion_steps(_model(), _recipe(prefer=prefer))[-1:]
    assert ("those of float layers INT8 in the file" in step.what) is told


def test_equalization_is_a_step_of_the_plan_where_the_recipe_asks_for_it() -> None:
    model = _model()
    plain, equalized = (
        [step.name for step in conversion_steps(model, _recipe(equalization=asked))] for asked in (False, True)
    )
    assert plain == ["simplify", "canonicalize", "quantize"]
    assert equalized == ["simplify", "canonicalize", "equalize", "quantize"]


def test_its_step_loses_nothing_and_integers_lose_less_behind_it() -> None:
    with_it, without = _convert(_recipe(equalization=True)), _convert(_recipe(equalization=False))
    step = with_it.done[-2]
    assert (step.name, step.lossless) == ("equalize", True)
    assert step.agreement.sqnr_db > 100
    assert with_it.done[-1].agreement.sqnr_db > without.done[-1].agreement.sqnr_db + 3


def test_what_is_rounded_is_the_equalized_model() -> None:
    conversion = _convert(_recipe(equalization=True))
    assert conversion.rounded == (conversion.done[-2].result.model, conversion.done[-1])
    assert _convert(Recipe()).rounded is None


def test_operators_are_enclosed_by_a_step_of_its_own_where_the_recipe_asks_for_it() -> None:
    recipe = _recipe(enclose=True, equalization=True, integer_entry=False)
    conversion = _convert(recipe)
    assert [done.name for done in conversion.done[-3:]] == ["equalize", "quantize", "enclose"]
    assert conversion.rounded == (conversion.done[-3].result.model, conversion.done[-1])
    (output,) = conversion.artifact.graph.outputs
    maker = output.producer()
    assert maker is not None
    assert maker.op_type == "DequantizeLinear"
    assert conversion.done[-1].agreement.sqnr_db > 20


def _around(center: float) -> ir.Model:
    """A convolution, and a sum that goes far from zero and back: there a step of uint8 is 1/255 of the distance."""
    constants = {"w": draw(4, 4, 3, 3), "b": draw(4), "k": np.full((1, 4, 1, 1), center, np.float32)}
    body = "c = Conv<pads=[1,1,1,1]>(x, w, b) a = Sigmoid(c) s = Add(a, k) u = Abs(s) y = Sub(u, k)"
    return graph(body, **constants)


def test_a_network_that_uint8_cannot_hold_is_refused_with_what_to_set() -> None:
    context = Context(recipe=_recipe(enclose=True), example=BATCHES.first(), streams=Streams(calibration=BATCHES))
    told = r"^step 'enclose' changed .*; name layers in quantization\.uint16_activations, with '\*' all of them$"
    with pytest.raises(ParityError, match=told):
        convert(_around(1000), context)


def test_layers_become_uint16_until_outputs_agree_with_the_float_model() -> None:
    recipe = _recipe(enclose=True, granularity="per_channel", integer_entry=False, fallback_evaluations=6)
    recipe = recipe.model_copy(update={"budgets": Budgets(min_sqnr_db=30)})
    streams = Streams(calibration=BATCHES, evaluation=BATCHES)
    conversion = convert(_around(90), Context(recipe=recipe, example=BATCHES.first(), streams=streams))
    last = conversion.done[-1]
    assert re.fullmatch(r"fallback: .*\bs\b.* are uint16 for the accuracy budget", last.result.changes[-1])
    assert last.agreement.sqnr_db > 29  # on other samples than the budget
    quantizing = conversion.done[-2]
    assert not any(change.startswith("fallback") for change in quantizing.result.changes)


def test_the_plan_says_what_becomes_uint16() -> None:
    recipe = _recipe(enclose=True, uint16_activations=("norm*", "add"), fallback_evaluations=4)
    quantizing, enclosing = conversion_steps(_model(), recipe)[-2:]
    assert "return to float" not in quantizing.what
    assert enclosing.what == (
        "integers around every operator and output, for an NPU, norm*, add in uint16, layers become uint16 for the"
        " accuracy budget"
    )


def test_equalization_that_changes_the_outputs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = equalize

    def spoiled(*args: Any) -> Any:
        made = run(*args)
        *_, last = (node for node in made.model.graph if node.op_type == "Conv")
        weight = constant_weight(last)
        assert weight is not None
        replace_constant(made.model.graph, last, 1, np.float32(1.01) * weight)
        return made

    monkeypatch.setattr("edgecompress.techniques.steps.quantization.equalize", spoiled)
    with pytest.raises(ParityError, match=r"^step 'equalize' changed what the model computes: 40\.0 dB"):
        _convert(_recipe(equalization=True))


def test_the_plan_says_what_places_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of this machine are none of another CPU: the table decides there."""
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "x86-vnni")
    for isa, told in (
        (None, "placed by measured time"),
        ("x86-vnni", "placed by measured time"),
        ("armv8.0", "placed by the table (no armv8.0 here to time)"),
    ):
        recipe = effective_profile("mobile", [f"cpu.isa={isa or 'none'}"]).recipe
        (step,) = plan_steps(recipe, None)
        assert f", {told}" in step.what
    table = effective_profile("mobile", ["cpu.isa=armv8.0", "quantization.placement=table"]).recipe
    assert "placed" not in plan_steps(table, None)[0].what
