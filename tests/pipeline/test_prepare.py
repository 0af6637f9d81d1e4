"""Before the first step: the user's network stays as it is, and what the run needs is known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, RecipeError
from edgecompress.pipeline.prepare import prepare, sample_rows
from edgecompress.recipe.tables import Distillation, Export, Pruning, Quantization, Recipe, parse_recipe
from edgecompress.techniques.context import Context
from tests.heard import Heard
from tests.networks import ConvNet, seeded
from tests.techniques.contexts import batches


def _context(recipe: Recipe, *roles: str, **given: Any) -> Context:
    streams = Streams(**{role: batches(role) for role in roles})
    return Context(recipe=recipe, example=batches("calibration").first(), streams=streams, **given)


def test_the_network_is_copied_in_evaluation_mode() -> None:
    given = seeded(ConvNet).train()
    network, context = prepare(given, _context(Recipe()))
    assert isinstance(network, nn.Module)
    assert given.training
    assert not network.training
    assert context.original is network
    with torch.no_grad():
        next(network.parameters()).zero_()
    assert next(given.parameters()).any()


def test_a_network_is_its_own_teacher_where_a_technique_trains() -> None:
    pruning = Recipe(pruning=Pruning(enabled=True))
    network, context = prepare(seeded(ConvNet), _context(pruning, "train"))
    assert context.teaching is network
    _, untrained = prepare(seeded(ConvNet), _context(Recipe()))
    assert untrained.teacher is None


def test_a_teacher_that_was_given_is_copied_as_well() -> None:
    teacher = seeded(ConvNet).train()
    recipe = Recipe(distillation=Distillation(enabled=True))
    network, context = prepare(seeded(ConvNet), _context(recipe, "train", teacher=teacher))
    assert context.teaching is not teacher
    assert context.teaching is not network
    assert not context.teaching.training
    assert teacher.training


@pytest.mark.parametrize(
    ("recipe", "lacking"),
    [
        (Recipe(quantization=Quantization(enabled=True)), "calibration"),
        (Recipe(distillation=Distillation(enabled=True)), "train"),
    ],
)
def test_data_that_a_technique_cannot_do_without(recipe: Recipe, lacking: str) -> None:
    roles = [role for role in ("calibration", "evaluation", "train") if role != lacking]
    with pytest.raises(DataError, match=rf"give {lacking} \(--{lacking}\)$"):
        prepare(seeded(ConvNet), _context(recipe, *roles))


def test_the_recipe_or_the_network_fixes_the_samples_of_a_call() -> None:
    assert sample_rows(seeded(ConvNet), Recipe()) is None
    assert sample_rows(seeded(ConvNet), Recipe(export=Export(batch_size=4))) == 4


def _off(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return outputs.detach().sum()


@pytest.mark.parametrize("technique", ["pruning", "low_rank", "distillation"])
def test_a_loss_that_cannot_be_learned_by_is_told_before_the_first_step(technique: str) -> None:
    asked = {technique: {"enabled": True}, "training": {"loss": "mine:off"}}
    with pytest.raises(RecipeError, match=r"^the first train batch: loss 'mine:off' has no gradient; compute it"):
        prepare(seeded(ConvNet), _context(parse_recipe(asked), "train", loss=_off))


@pytest.mark.parametrize("also", [{"training": {"epochs": 0}}, {"distillation": {"alpha": 1.0}}, {"pruning": {}}])
def test_a_loss_that_nothing_asks_is_not_tried(also: dict[str, dict[str, Any]]) -> None:
    tables = {"pruning": {"enabled": True}, **also}
    tables["training"] = {**tables.get("training", {}), "loss": "mine:off"}
    prepare(seeded(ConvNet), _context(parse_recipe(tables), "train", loss=_off))


def test_a_weight_of_no_output_is_told_before_the_first_step() -> None:
    recipe = parse_recipe({"pruning": {"enabled": True}, "distillation": {"output_weights": {"boxes": 2.0}}})
    with pytest.raises(RecipeError) as caught:
        prepare(seeded(ConvNet), _context(recipe, "train"))
    assert str(caught.value) == (
        "the first train batch: 'distillation.output_weights' names 'boxes', and the outputs are output; name one of"
        " these"
    )


@pytest.mark.parametrize("names", [(), ("cat", "dog", "emu"), tuple("abcdefghij"), tuple("abcdefghijk")])
def test_names_that_are_not_those_of_all_classes_are_told(names: tuple[str, ...]) -> None:
    heard = Heard()
    recipe = parse_recipe({"data": {"classes": names}, "quantization": {"enabled": True}})
    prepare(seeded(ConvNet), _context(recipe, "calibration", "evaluation", progress=heard))
    told = (
        f"the classes have {len(names)} names, and the network scores 10 classes; labels are numbered in the order of"
        " the names: name all 10 in the network's order (data.classes)"
    )
    assert heard.lines == ([] if len(names) in (0, 10) else [told])
