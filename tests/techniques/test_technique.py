"""Techniques of other packages: their steps are planned and run as ours are, and their faults have a name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from edgecompress.data.splits import Streams
from edgecompress.errors import ModelError, RecipeError
from edgecompress.pipeline.fold import convert, float_original
from edgecompress.pipeline.plan import conversion_steps
from edgecompress.recipe.tables import Pruning, Quantization, Recipe
from edgecompress.techniques.context import Context
from tests.exporters.graphs import graph
from tests.networks import ConvNet, seeded
from tests.techniques.contexts import batches

SCALING = """
import copy
import torch
from edgecompress.step import Step, StepResult

def scale(module, context):
    model, factor = copy.deepcopy(module), context.recipe.options["scale"]["factor"]
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.mul_(factor)
    return StepResult(model=model)

def whole(recipe, teacher):
    return (Step(name="scale", what=f"the head times {recipe.options['scale']['factor']}", run=scale),)
"""


CLONING = """
from edgecompress.step import Step, StepResult

def clone(model, context):
    return StepResult(model=model.clone(), changes=("cloned",))

def whole(recipe, teacher):
    return (Step(name="clone", what="the graph is copied", run=clone, min_sqnr_db=60.0),)
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe that puts an installed technique before quantization."""
    return _installed(SCALING, tmp_path, monkeypatch)


def _installed(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    info = folder / "scaling-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "scaling.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scaling\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edgecompress.techniques]\nscale = scaling:whole\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "scaling", raising=False)
    options = {"scale": {"factor": 0.5}}
    return Recipe(order=("scale", "quantization"), options=options, quantization=Quantization(enabled=True))


def _context(recipe: Recipe) -> Context:
    return Context(
        recipe=recipe, example=batches("calibration").first(), streams=Streams(calibration=batches("calibration"))
    )


def test_its_step_stands_in_the_plan_and_runs(recipe: Recipe) -> None:
    network, context = seeded(ConvNet), _context(recipe)
    steps = conversion_steps(network, recipe)
    assert (steps[0].name, steps[0].what) == ("scale", "the head times 0.5")
    conversion = convert(network, context, steps)
    assert [step.name for step in conversion.done] == [step.name for step in steps]
    before, after = (model.get_parameter("classifier.weight") for model in (network, conversion.done[0].result.model))
    assert torch.equal(after, 0.5 * before)
    assert [name for name, _ in conversion.stages] == ["original", "scale", "canonicalize", "quantize"]


def test_it_is_given_a_pytorch_module(recipe: Recipe) -> None:
    with pytest.raises(ModelError, match=r"^scale needs the PyTorch module; give file\.py:callable, or take it out of"):
        conversion_steps(graph("y = Relu(x)"), recipe)


def test_one_that_works_on_the_graph_takes_a_model_that_is_an_onnx_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _installed(CLONING, tmp_path, monkeypatch)
    context = _context(recipe)
    model = float_original(seeded(ConvNet), Recipe(), context.example)
    names = [step.name for step in conversion_steps(model, recipe)]
    assert names[-2:] == ["clone", "quantize"] or names[-3:] == ["clone", "equalize", "quantize"]
    done = {step.name: step.result for step in convert(model, context).done}
    assert done["clone"].changes == ("cloned",)


def test_the_technique_whose_step_needs_the_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of them in the order, not the first technique."""
    recipe = _installed(CLONING, tmp_path, monkeypatch)
    changing = Recipe(order=("scale", "pruning"), options=recipe.options, pruning=Pruning(enabled=True))
    with pytest.raises(ModelError, match=r"^pruning needs the PyTorch module; .*, or set pruning\.enabled=false"):
        conversion_steps(graph("y = Relu(x)"), changing)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            SCALING.replace("copy.deepcopy(module)", "module.shrink()"),
            "technique 'scale' of package 'scaling' fails: 'ConvNet' object has no attribute 'shrink'; repair it,"
            " or choose another",
        ),
        (
            "def whole(recipe, teacher): return 'later'",
            "technique 'scale' of package 'scaling' gives a str as a step; let it give a tuple of steps",
        ),
        (
            "def whole(recipe, teacher): return None",
            "technique 'scale' of package 'scaling' gives None as a step; let it give a tuple of steps",
        ),
        (
            "def whole(recipe, teacher): return recipe.options['other']",
            "technique 'scale' of package 'scaling' fails: 'other'; repair it, or choose another",
        ),
        (
            "from edgecompress.errors import RecipeError\n"
            "def whole(recipe, teacher): raise RecipeError('options.scale.factor is too large; halve it')",
            "options.scale.factor is too large; halve it",
        ),
    ],
)
def test_a_fault_of_another_package_is_told_with_its_name(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _installed(text, tmp_path, monkeypatch)
    with pytest.raises(RecipeError) as caught:
        convert(seeded(ConvNet), _context(recipe))
    assert str(caught.value) == told


def test_options_of_a_technique_that_does_not_run_are_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe(options={"scale": {"factor": 2.0}})
    assert str(caught.value) == "'options.scale' is for a technique that 'order' does not name; add it there"


def test_a_technique_without_a_package_is_unknown() -> None:
    with pytest.raises(RecipeError, match=r"got 'scale' in 'order'"):
        Recipe(order=("scale",), pruning=Pruning())
