"""The step on whole networks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgecompress import ModelError, RecipeError
from edgecompress.api.pruner import ModelPruner
from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.loading.sources import open_batches
from edgecompress.low_rank import factorize as step
from edgecompress.low_rank.factorize import factorize
from edgecompress.low_rank.request import LowRankRequest
from edgecompress.metrics.agreement import Agreement
from edgecompress.pipeline.fold import convert
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.runtime import execute
from edgecompress.techniques.context import Context
from tests.low_rank.drawn import correlated_images, normal
from tests.low_rank.networks import Convolutions, ReadsWeights, Wide
from tests.networks import seeded

EXAMPLE = Batch(inputs={"x": normal(2, 64).numpy()})
IMAGES = Batch(inputs={"image": normal(2, 3, 16, 16).numpy()})


def test_layers_become_two_and_say_so() -> None:
    model = seeded(Wide)
    result = factorize(model, LowRankRequest(rank_ratio=0.25), EXAMPLE)
    assert [change.split(",")[0] for change in result.changes] == [
        "first: 96 x 64 as rank 16 (svd)",
        "second: 96 x 96 as rank 32 (svd)",
    ]
    assert [refusal.name for refusal in result.refusals] == ["head"]
    assert result.metrics["original_parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert result.metrics["factorized_parameters"] == sum(parameter.numel() for parameter in result.model.parameters())
    assert result.metrics["original_macs"] == 64 * 96 + 96 * 96 + 96 * 10
    assert result.metrics["factorized_macs"] == 16 * (64 + 96) + 32 * (96 + 96) + 96 * 10


def test_the_model_that_was_given_is_not_modified() -> None:
    model = seeded(Convolutions).train()
    before = copy.deepcopy(model.state_dict())
    result = factorize(model, LowRankRequest(rank_ratio=0.25, multiple=4), IMAGES, samples=[IMAGES])
    assert model.training
    assert all(part.training for part in result.model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(type(part) is not nn.Sequential or len(part) > 1 for part in result.model.modules())


@pytest.mark.parametrize("goal", ["parameters", "macs"])
def test_a_goal_is_met(goal: Any) -> None:
    result = factorize(seeded(Convolutions), LowRankRequest(goal=goal, amount=0.4, multiple=4), IMAGES)
    assert result.metrics[f"factorized_{goal}"] <= 0.6 * result.metrics[f"original_{goal}"]  # type: ignore[operator]
    assert not any(change.startswith(("depthwise", "classifier")) for change in result.changes)


def test_a_goal_without_inputs() -> None:
    assert factorize(seeded(Wide), LowRankRequest(goal="parameters", amount=0.3)).changes
    with pytest.raises(RecipeError, match="the goal 'macs' needs example inputs"):
        factorize(seeded(Wide), LowRankRequest(goal="macs"))


def test_layers_whose_weights_are_read_stay() -> None:
    example = Batch(inputs={"x": normal(2, 8).numpy()})
    result = factorize(ReadsWeights(), LowRankRequest(rank_ratio=0.25, multiple=2), example)
    assert [change.split(":")[0] for change in result.changes] == ["called"]
    assert {refusal.name for refusal in result.refusals} == {"unused", "read", "asked", "head"}


def test_with_samples_the_outputs_are_closer() -> None:
    model, data = seeded(Convolutions), correlated_images(16, 3, 16)
    samples = [Batch(inputs={"image": data[start : start + 4].numpy()}) for start in range(0, 16, 4)]
    request = LowRankRequest(rank_ratio=0.25, multiple=4)
    with torch.no_grad():
        plain, whitened = (
            (factorize(model, request, IMAGES, samples=given).model(data) - model(data)).square().sum()
            for given in ((), samples)
        )
    assert whitened < plain


def test_the_latency_goal_aims_anew_and_says_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = iter([[10.0], [10.0, 9.5], [10.0, 9.2], [10.0, 9.0]])
    monkeypatch.setattr(step, "network_ms", lambda *_: next(clocks))
    monkeypatch.setattr(step, "price_latency", lambda *_: ([], ()))
    monkeypatch.setattr(step, "share_out", lambda *_: {})
    result = factorize(seeded(Wide), LowRankRequest(goal="latency", amount=0.2), EXAMPLE)
    missed = [refusal for refusal in result.refusals if refusal.kind == "goal"]
    assert [each.reason for each in missed] == ["10.0% of it went, 20.0% was asked for"]
    assert result.metrics["original_latency_ms"] == 10.0
    assert result.metrics["factorized_latency_ms"] == 9.0


def test_nothing_to_decompose() -> None:
    with pytest.raises(
        RecipeError,
        match=r"^no layer of this model can be decomposed \(0: the last classifier.*\); set low_rank\.enabled=false$",
    ):
        factorize(nn.Sequential(nn.Linear(4, 4)), LowRankRequest())
    with pytest.raises(RecipeError, match="it has no linear layer and no convolution"):
        factorize(nn.ReLU(), LowRankRequest())


def test_a_model_that_does_not_run() -> None:
    with pytest.raises(ModelError, match="does not run"):
        factorize(seeded(Wide), LowRankRequest(), IMAGES)


def test_pruned_then_decomposed_then_integers_on_onnx() -> None:
    pruner = ModelPruner(seeded(Convolutions), normal(2, 3, 16, 16))
    pruner.structured_pruning(amount=0.25, multiple=4)
    smaller = factorize(pruner.model, LowRankRequest(rank_ratio=0.4, multiple=4), IMAGES)
    assert len(smaller.changes) >= 3
    assert smaller.metrics["factorized_macs"] < smaller.metrics["original_macs"]  # type: ignore[operator]
    recipe = Recipe(quantization=Quantization(enabled=True))
    data = [normal(16, 3, 16, 16, seed=seed) for seed in range(4)]
    batches = open_batches(data, "calibration", smaller.model, recipe)
    done = convert(smaller.model, Context(recipe=recipe, example=batches.first(), streams=Streams(calibration=batches)))
    probe = {"image": normal(32, 3, 16, 16, seed=9).numpy()}
    expected = execute(smaller.model, probe)
    assert Agreement.between(expected, execute(done.original, probe)).sqnr_db > 100
    assert Agreement.between(expected, execute(done.artifact, probe)).sqnr_db > 20


def test_an_example_on_arrays_is_enough_for_a_model_that_takes_a_dict() -> None:
    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = seeded(Wide)

        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.body(batch["left"] + batch["right"])  # type: ignore[no-any-return]

    example = Batch(inputs={name: np.ones((2, 64), np.float32) for name in ("left", "right")})
    result = factorize(Takes(), LowRankRequest(rank_ratio=0.25), example)
    assert len(result.changes) == 2
