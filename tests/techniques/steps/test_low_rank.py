"""The step that factorizes, and the whole road behind it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress.data.splits import Streams
from edgecompress.errors import RecipeError
from edgecompress.pipeline.fold import convert
from edgecompress.recipe.tables import Recipe, parse_recipe
from edgecompress.techniques.context import Context
from edgecompress.techniques.steps.low_rank import factorize_layers, request_of
from tests.networks import CLASSES, seeded
from tests.techniques.contexts import batches, context


class Wide(nn.Module):
    """Two convolutions wide enough that thinner ones are less work."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Linear(64, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.second(self.first(image)).mean((2, 3)))
        return scores


def _recipe(**tables: Any) -> Recipe:
    asked = {"enabled": True, "multiple": 4, **tables.pop("low_rank", {})}
    return parse_recipe({"training": {"epochs": 1, "learning_rate": 0.001}, **tables, "low_rank": asked})


def test_half_of_the_work_goes_and_the_network_is_untouched() -> None:
    network = seeded(Wide)
    before = copy.deepcopy(network.state_dict())
    given = context(network, _recipe(), "calibration")
    result = factorize_layers(network, given)
    assert 0.35 < float(result.metrics["factorized_macs"]) / float(result.metrics["original_macs"]) <= 0.5
    assert "not trained to recover" in result.warnings[0]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert isinstance(result.model.get_submodule("head"), nn.Linear)


def test_with_training_data_it_recovers() -> None:
    network = seeded(Wide)
    roles = ("train", "evaluation")
    plain = factorize_layers(network, context(network, _recipe(training={"epochs": 0}), *roles))
    trained = factorize_layers(network, context(network, _recipe(), *roles))
    assert trained.warnings == ()
    assert 0 <= float(trained.metrics["factorized_accuracy_percent"]) <= 100
    names = [name for name, _ in plain.model.named_parameters()]
    assert names == [name for name, _ in trained.model.named_parameters()]
    assert any(
        not torch.equal(parameter, other)
        for parameter, other in zip(plain.model.parameters(), trained.model.parameters(), strict=True)
    )


def test_a_run_that_goes_on_takes_the_ranks_that_were_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(Wide)
    given = context(network, _recipe(low_rank={"whitening": False}), checkpoints=tmp_path)
    first = factorize_layers(network, given)
    monkeypatch.setattr("edgecompress.low_rank.factorize.share_out", None)  # nothing is chosen anew
    again = factorize_layers(network, given)
    assert first.changes == again.changes
    assert first.refusals == again.refusals
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize("goal", ["macs", "parameters", "latency", "energy", "ratio"])
def test_the_table_says_what_decides(goal: str) -> None:
    request = request_of(_recipe(low_rank={"goal": goal, "energy": 0.75, "rank_ratio": 0.125}))
    assert request.goal == (goal if goal in ("macs", "parameters", "latency") else None)
    assert request.energy == (0.75 if goal == "energy" else None)
    assert request.rank_ratio == 0.125


def test_a_goal_beyond_reach_names_its_key() -> None:
    network = seeded(Wide)
    with pytest.raises(RecipeError, match=r"can go; .*low_rank\.amount"):
        factorize_layers(network, context(network, _recipe(low_rank={"amount": 0.99})))


def test_pruned_then_factorized_then_integers_agree_with_what_was_left() -> None:
    """Line 8 of what was asked: the three techniques one after another, each step held against the one before."""
    network = seeded(Wide)
    recipe = _recipe(
        pruning={"enabled": True, "amount": 0.25, "multiple": 4},
        low_rank={"amount": 0.3},
        quantization={"enabled": True, "scheme": "fbgemm"},
        training={"epochs": 0},
    )
    calibration = batches("calibration")
    streams = Streams(calibration=calibration)
    done = convert(network, Context(recipe=recipe, example=calibration.first(), streams=streams)).done
    names = [step.name for step in done]
    assert names[:2] == ["prune", "factorize"]
    assert names[-1] == "quantize"
    assert all(step.agreement.sqnr_db > 60 for step in done if step.lossless)
    assert done[-1].agreement.sqnr_db > 20
    macs = done[1].result.metrics
    assert float(macs["factorized_macs"]) <= 0.7 * float(macs["original_macs"])
    assert float(macs["original_macs"]) == float(done[0].result.metrics["pruned_macs"])
