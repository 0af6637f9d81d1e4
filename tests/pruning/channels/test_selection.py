"""What a request selects."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from edgecompress.errors import DataError, RecipeError
from edgecompress.pruning.channels.cost_terms import add_up, full
from edgecompress.pruning.channels.costs import macs_terms, parameter_terms
from edgecompress.pruning.channels.selection import IS_JOINED, PruningRequest, select
from edgecompress.pruning.channels.structured import Subject, examine
from tests.networks import ConvNet, seeded
from tests.techniques.contexts import Blocks


@pytest.fixture(scope="module")
def subject() -> Subject:
    return examine(seeded(ConvNet), (torch.randn(1, 3, 16, 16),))


def test_a_share_of_the_channels(subject: Subject) -> None:
    assert list(select(subject, PruningRequest(amount=0.5)).widths.values()) == [4, 8]
    assert select(subject, PruningRequest(amount=0.0)).units == ()


@pytest.mark.parametrize("spread", ["uniform", "global", "latency"])
@pytest.mark.parametrize("goal", ["macs", "parameters"])
def test_a_goal_is_met_and_not_overshot_by_more_than_a_step(subject: Subject, goal: str, spread: str) -> None:
    request = PruningRequest(amount=0.4, goal=goal, spread=spread)  # type: ignore[arg-type]
    chosen = select(subject, request, whole_ms=1.0)
    terms = {"macs": macs_terms, "parameters": parameter_terms}[goal](subject.structure, subject.groups)
    assert 0.3 < add_up(terms)(chosen.widths) / add_up(terms)(full(subject.groups)) <= 0.6


def test_protected_layers_keep_their_channels(subject: Subject) -> None:
    chosen = select(subject, PruningRequest(amount=0.5, protect=("features.0",)))
    assert list(chosen.widths) == ["features.3"]
    assert [(refusal.name, refusal.reason) for refusal in chosen.refusals] == [
        ("features.0", "protected by 'features.0'")
    ]


def test_a_protected_layer_that_is_not_there(subject: Subject) -> None:
    with pytest.raises(RecipeError, match=r"'pruning.protect' names 'feature.0', .*; did you mean 'features.0'\?"):
        select(subject, PruningRequest(amount=0.5, protect=("feature.0",)))


def test_a_protected_module_stands_for_all_that_is_in_it(subject: Subject) -> None:
    with pytest.raises(
        RecipeError, match=r"^'pruning.protect' leaves nothing that can be pruned; name fewer layers there$"
    ):
        select(subject, PruningRequest(amount=0.5, protect=("features",)))


def test_inside_of_blocks_the_residual_stream_stays_whole() -> None:
    chosen = select(examine(seeded(Blocks), (torch.randn(1, 3, 16, 16),)), PruningRequest(amount=0.5, residual="keep"))
    assert chosen.widths == {f"body.{place}.first": 8 for place in range(4)}
    assert [(refusal.name, refusal.reason) for refusal in chosen.refusals] == [("stem.0", IS_JOINED)]


class Added(nn.Module):
    """Two branches that an addition joins, and nothing inside of a block."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 8), nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.left(x) + self.right(x))
        return scores


def test_the_residual_stream_stays_whole_where_the_inside_of_blocks_suffices() -> None:
    subject = examine(seeded(Blocks), (torch.randn(1, 3, 16, 16),))
    spared = PruningRequest(amount=0.3, goal="macs", residual="auto")
    assert select(subject, spared) == select(subject, replace(spared, residual="keep"))
    most = PruningRequest(amount=0.95, goal="macs", residual="auto")
    assert select(subject, most) == select(subject, replace(most, residual="prune"))
    with pytest.raises(RecipeError, match="cannot be met"):
        select(subject, replace(most, residual="keep"))
    added = examine(Added(), (torch.randn(2, 4),))
    some = PruningRequest(amount=0.5, goal="macs", residual="auto")
    assert select(added, some) == select(added, replace(some, residual="prune"))


def test_blocks_are_not_hollowed_out_to_spare_the_stream() -> None:
    subject = examine(seeded(Blocks), (torch.randn(1, 3, 16, 16),))
    much = PruningRequest(amount=0.8, goal="macs", residual="auto")
    assert set(select(subject, replace(much, residual="keep")).widths.values()) == {2}  # of 16
    assert select(subject, much) == select(subject, replace(much, residual="prune"))


def test_a_share_of_the_channels_is_a_share_of_those_of_the_residual_stream_too() -> None:
    subject = examine(seeded(Blocks), (torch.randn(1, 3, 16, 16),))
    assert select(subject, PruningRequest(amount=0.5, residual="auto")) == select(subject, PruningRequest(amount=0.5))


def test_blocks_without_an_inside_are_one_line() -> None:
    with pytest.raises(
        RecipeError, match=r"'pruning\.residual' keep leaves nothing that can be pruned; set pruning\.residual=prune$"
    ):
        select(examine(Added(), (torch.randn(2, 4),)), PruningRequest(amount=0.5, residual="keep"))


def test_nothing_to_prune() -> None:
    alone = examine(nn.Sequential(nn.Linear(4, 3)), (torch.randn(1, 4),))
    with pytest.raises(
        RecipeError,
        match=r"^nothing of this model can be pruned \(0: 3 channels stay: each is an output.*\); disable pruning$",
    ):
        select(alone, PruningRequest(amount=0.5))


def test_sensitivity_needs_samples(subject: Subject) -> None:
    with pytest.raises(
        DataError, match="spread 'sensitivity' needs data; give calibration data, or choose another spread"
    ):
        select(subject, PruningRequest(amount=0.5, spread="sensitivity"))
