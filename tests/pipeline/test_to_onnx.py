"""The way to ONNX: what is left to do for each kind of model, and nothing of it changes the answers."""

from __future__ import annotations

import pytest

from edgecompress.data.batches import Batch
from edgecompress.exporters.onnx import to_onnx
from edgecompress.modules.capture import capture
from edgecompress.pipeline.to_onnx import steps_to_onnx
from edgecompress.recipe.tables import Export, Quantization, Recipe
from edgecompress.runtime import Network, execute
from edgecompress.techniques.context import Context
from tests.networks import ConvNet, images, seeded

EXAMPLE = Batch(inputs={"image": images()[0][0].numpy()})
ALL = ["capture", "export", "simplify", "canonicalize"]


def _model(kind: str, recipe: Recipe) -> Network:
    module = seeded(ConvNet)
    if kind == "module":
        return module
    program = capture(module, EXAMPLE, recipe.export)
    return program if kind == "program" else to_onnx(program, recipe.export)


@pytest.mark.parametrize(("kind", "left"), [("module", ALL), ("program", ALL[1:]), ("ONNX", ALL[2:])])
@pytest.mark.parametrize("quantizes", [False, True])
def test_what_is_left_for_each_kind_of_model(kind: str, left: list[str], quantizes: bool) -> None:
    recipe = Recipe(quantization=Quantization(enabled=quantizes))
    network = _model(kind, recipe)
    steps, expected = steps_to_onnx(network, recipe), execute(network, EXAMPLE.inputs)
    assert [step.name for step in steps] == left
    assert [step.ships for step in steps] == [False] * (len(left) - 1) + [True]
    for step in steps:
        network = step.run(network, Context(recipe=recipe, example=EXAMPLE)).model
        assert execute(network, EXAMPLE.inputs)[0] == pytest.approx(expected[0], abs=1e-5)


def test_all_are_held_to_the_floor_of_the_recipe() -> None:
    steps = steps_to_onnx(seeded(ConvNet), Recipe(export=Export(min_sqnr_db=72.0, simplify=False)))
    assert [(step.name, step.min_sqnr_db, step.lossless) for step in steps] == [
        (name, 72.0, True) for name in ALL if name != "simplify"
    ]
