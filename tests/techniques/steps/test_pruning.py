"""The step that prunes channels: schedule, goals, recovery, and what it remembers."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgecompress.data.batches import Batches
from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, RecipeError
from edgecompress.loading.sources import open_batches
from edgecompress.recipe.tables import Pruning, Recipe, parse_recipe
from edgecompress.techniques import cutting
from edgecompress.techniques.context import Context
from edgecompress.techniques.cutting import can_be_cut
from edgecompress.techniques.steps import pruning
from edgecompress.techniques.steps.pruning import prune_channels
from edgecompress.timing.latency import Latency
from tests.networks import ConvNet, ResidualNet, images, seeded
from tests.techniques.contexts import NAMES, Blocks, batches, context


def _context(network: nn.Module, *roles: str, **tables: dict[str, Any]) -> Context:
    recipe = parse_recipe(
        {"training": {"epochs": 0}, **tables, "pruning": {"multiple": 1, **tables.get("pruning", {})}}
    )
    return context(network, recipe, *(roles or ("calibration",)))


def test_half_of_the_macs_go_and_the_network_is_untouched() -> None:
    network = seeded(ConvNet)
    before = copy.deepcopy(network.state_dict())
    result = prune_channels(network, _context(network, pruning={"goal": "macs"}))
    assert 0.4 < float(result.metrics["pruned_macs"]) / float(result.metrics["original_macs"]) <= 0.5
    assert sum(parameter.numel() for parameter in result.model.parameters()) == result.metrics["pruned_parameters"]
    assert any(change.startswith("features.0: 8 -> ") for change in result.changes)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_without_training_data_batch_norm_is_estimated_anew_and_a_warning_says_so() -> None:
    network = seeded(ConvNet)
    result = prune_channels(network, _context(network))
    assert "no training data" in result.warnings[0]
    inputs = torch.cat([image for image, _ in images(rows=8, batches=3)])
    first, norm = result.model.get_submodule("features.0"), result.model.get_submodule("features.1")
    assert isinstance(norm, nn.BatchNorm2d)
    with torch.no_grad():
        torch.testing.assert_close(norm.running_mean, first(inputs).mean((0, 2, 3)))


@pytest.mark.parametrize("schedule", ["one_shot", "linear", "cubic"])
def test_the_steps_of_a_schedule_add_up(schedule: str) -> None:
    recipe = parse_recipe({"pruning": {"amount": 0.75, "schedule": schedule, "steps": 3}, "training": {"epochs": 7}})
    steps = list(pruning.planned_cuts(recipe, 0.0))
    assert math.prod(1 - share for share, _ in steps) == pytest.approx(0.25)
    assert sum(epochs for _, epochs in steps) == 7
    assert all(epochs >= 1 for _, epochs in steps)


def test_it_trains_between_the_cuts_and_measures_accuracy() -> None:
    network = seeded(ConvNet)
    tables: dict[str, dict[str, Any]] = {
        "pruning": {"schedule": "linear", "steps": 2},
        "training": {"epochs": 2, "learning_rate": 0.01},
    }
    given = _context(network, "train", "evaluation", **tables)
    trained = prune_channels(network, given)
    plain = prune_channels(
        network,
        replace(
            given,
            recipe=given.recipe.model_copy(update={"training": Recipe().training.model_copy(update={"epochs": 0})}),
        ),
    )
    assert {parameter.shape for parameter in trained.model.parameters()} == {
        parameter.shape for parameter in plain.model.parameters()
    }
    assert not torch.equal(next(trained.model.parameters()), next(plain.model.parameters()))
    assert 0 <= float(trained.metrics["pruned_accuracy_percent"]) <= 100
    assert trained.warnings == ()


def test_a_latency_goal_is_held_against_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that rewards half of what is removed: the goal is aimed at until the measured latency meets it."""
    network = seeded(ConvNet)
    whole = sum(parameter.numel() for parameter in network.parameters())
    asked = []

    def measured(models: Sequence[ir.Model], _context: Context) -> list[Latency]:
        sizes = [
            sum(
                int(initializer.const_value.size)
                for initializer in model.graph.initializers.values()
                if initializer.const_value
            )
            for model in models
        ]
        asked.append(len(models))
        return [Latency(median_ms=0.5 + 0.5 * size / whole, p95_ms=1.0, p99_ms=1.0) for size in sizes]

    monkeypatch.setattr(cutting, "time_models", measured)
    result = prune_channels(network, _context(network, pruning={"goal": "latency", "amount": 0.2}))
    left = sum(parameter.numel() for parameter in result.model.parameters()) / whole
    assert 1 - (0.5 + 0.5 * left) >= 0.2
    assert len(asked) > 2


def test_what_a_killed_run_chose_is_chosen_again_for_the_same_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = seeded(ConvNet)
    given = replace(_context(network, pruning={"importance": "random"}), checkpoints=tmp_path)
    first = prune_channels(network, given)
    monkeypatch.setattr(cutting, "selector", None)  # nothing is selected anew
    again = prune_channels(network, given)
    assert first.changes == again.changes
    monkeypatch.undo()
    other = prune_channels(network, replace(given, recipe=given.recipe.model_copy(update={"seed": 7})))
    weights = [each.model.get_submodule("features.3").weight for each in (first, again, other)]
    assert torch.equal(weights[0], weights[1])  # type: ignore[arg-type]
    assert weights[0].shape != weights[2].shape or not torch.equal(weights[0], weights[2])  # type: ignore[arg-type]


def _shuffled() -> Batches:
    """Batches in an order that PyTorch's global generator draws."""
    data = list(batches("train").source())

    def source() -> list[Any]:
        return [data[index] for index in torch.randperm(len(data))]

    return Batches(role="train", source=source, inputs=NAMES)


def test_data_in_random_order_give_the_same_network_whatever_was_drawn_before() -> None:
    network = seeded(ConvNet)
    given = replace(_context(network, pruning={"importance": "taylor"}), streams=Streams(train=_shuffled()))
    first = prune_channels(network, given)
    state = torch.get_rng_state()
    torch.rand(5)
    moved = torch.get_rng_state()
    second = prune_channels(network, given)
    assert torch.equal(moved, torch.get_rng_state())
    assert not torch.equal(state, moved)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name


@pytest.mark.parametrize("importance", ["taylor", "l2"])
def test_a_run_that_goes_on_sees_its_data_in_the_same_order(importance: str, tmp_path: Path) -> None:
    """The first one draws batches to choose by, the second recalls the choice and draws none."""
    network = seeded(ConvNet)
    context = _context(network, pruning={"importance": importance})
    given = replace(context, streams=Streams(train=_shuffled()), checkpoints=tmp_path)
    first, again = (prune_channels(network, given) for _ in range(2))
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


def test_a_block_stays_where_part_of_it_is_protected() -> None:
    network = seeded(Blocks)
    subject = cutting.examine_network(network, _context(network))
    for protect, kept in (((), []), (("body.1.first",), ["body.1"]), (("body",), [f"body.{at}" for at in range(4)])):
        left, refusals = cutting.free_blocks(subject, protect)
        assert [refusal.name for refusal in refusals] == kept
        assert len(left) == 4 - len(kept)


def test_protected_blocks_stay_and_are_named() -> None:
    network = seeded(ResidualNet)
    given = _context(network, pruning={"method": "block", "protect": ["stems"]})
    with pytest.raises(RecipeError, match=r"'pruning.protect' names 'stems'"):
        prune_channels(network, given)


def test_blocks_are_counted_not_measured() -> None:
    network = seeded(ConvNet)
    with pytest.raises(RecipeError) as caught:
        prune_channels(network, _context(network, pruning={"method": "block", "goal": "macs"}))
    assert str(caught.value) == (
        "blocks are removed by their number; leave 'pruning.goal' at channels, or change the method"
    )


def test_first_order_importance_needs_training_data() -> None:
    network = seeded(ConvNet)
    with pytest.raises(DataError) as caught:
        prune_channels(network, _context(network, pruning={"importance": "taylor"}))
    assert str(caught.value) == (
        "criterion 'taylor' needs training data; give it (--train), or set pruning.importance=l2"
    )


class Recurrent(nn.Module):
    """An LSTM and a classifier on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])  # type: ignore[no-any-return]


def test_pruning_has_something_to_remove_from_convolutions_and_nothing_from_an_lstm() -> None:
    given = context(seeded(ConvNet), Recipe(), "calibration")
    asked = Recipe(pruning=Pruning(enabled=True, amount=0.5, multiple=4))
    assert can_be_cut(given.teaching, given.example, asked)
    most = asked.model_copy(update={"pruning": Pruning(enabled=True, amount=0.99, goal="macs", multiple=16)})
    assert not can_be_cut(given.teaching, given.example, most)  # what is asked for, not whether anything can go
    recurrent = seeded(Recurrent)
    x = open_batches([torch.ones(2, 5, 16)], "calibration", recurrent, Recipe()).first()
    assert not can_be_cut(recurrent, x, asked)


def test_a_network_whose_code_fixes_every_size_is_refused() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(48, 12), nn.Linear(12, 5)

        def forward(self, image: torch.Tensor) -> Any:
            return self.second(self.first(image.flatten(1)[:, :48]).reshape(-1, 12).relu())

    network = seeded(Fixed)
    with pytest.raises(RecipeError, match=r"^nothing of this model can be pruned \(first: the code of the"):
        prune_channels(network, _context(network))
