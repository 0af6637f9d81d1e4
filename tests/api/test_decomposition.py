"""The front end: layers and models, and every wrong argument in one line."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from edgecompress import LowRankDecomposition, ModelError, RecipeError
from tests.low_rank.drawn import normal
from tests.low_rank.networks import Convolutions, Wide
from tests.networks import TwoInputs, seeded


def test_a_linear_layer_becomes_two_with_the_bias_in_the_second() -> None:
    layer = nn.Linear(64, 32)
    first, second = LowRankDecomposition.decompose_linear(layer, 0.25).children()
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert (first.weight.shape, second.weight.shape) == ((8, 64), (32, 8))
    assert first.bias is None
    torch.testing.assert_close(second.bias, layer.bias)
    values = torch.linalg.svdvals(layer.weight.detach().double())
    error = (second.weight.double() @ first.weight.double() - layer.weight.double()).square().sum().detach()
    assert float(error) == pytest.approx(float(values[8:].square().sum()), rel=1e-4)  # Eckart and Young


@pytest.mark.parametrize("layer", [nn.Linear(8, 8), nn.Linear(1, 8), nn.Linear(64, 32)])
def test_a_layer_that_would_not_shrink_comes_back_as_a_copy(layer: nn.Linear) -> None:
    copied = LowRankDecomposition.decompose_linear(layer, 1.0)
    assert type(copied) is nn.Linear
    assert copied is not layer
    assert torch.equal(copied.weight, layer.weight)


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        (nn.Conv2d(32, 32, 1), 2),
        (nn.Conv2d(32, 32, 3, stride=2, padding=1), 2),
        (nn.Conv1d(32, 32, 1), 2),
        (nn.Conv2d(32, 32, 3, groups=4), 0),
        (nn.Conv1d(32, 32, 3), 0),
    ],
)
def test_convolutions(layer: nn.Conv1d | nn.Conv2d, parts: int) -> None:
    found = LowRankDecomposition.decompose_conv(layer, 0.25)
    assert len(list(found.children())) in ((2, 3) if parts else (0,))
    source = normal(2, 32, *(9,) * (layer.weight.dim() - 2))
    assert found(source).shape == layer(source).shape


CALLS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "ratio": (lambda: LowRankDecomposition.decompose_linear(nn.Linear(4, 4), 0), RecipeError, "rank_ratio is 0;"),
    "nan": (lambda: LowRankDecomposition.decompose_linear(nn.Linear(4, 4), math.nan), RecipeError, "rank_ratio is nan"),
    "model ratio": (lambda: LowRankDecomposition.apply_to_model(Wide(), 2.0), RecipeError, "rank_ratio is 2.0"),
    "multiple": (
        lambda: LowRankDecomposition.decompose_conv(nn.Conv2d(4, 4, 1), 0.5, multiple=0),
        RecipeError,
        "multiple",
    ),
    "no linear layer": (
        lambda: LowRankDecomposition.decompose_linear(nn.Conv2d(4, 4, 1), 0.5),  # type: ignore[arg-type]
        ModelError,
        "the layer is a Conv2d; give a Linear",
    ),
    "no layer": (
        lambda: LowRankDecomposition.decompose_conv(3, 0.5),  # type: ignore[arg-type]
        ModelError,
        "the layer is an int; give a Conv1d or Conv2d",
    ),
    "no model": (
        lambda: LowRankDecomposition.apply_to_model("resnet"),  # type: ignore[arg-type]
        ModelError,
        "the model is a str",
    ),
    "lazy": (lambda: LowRankDecomposition.decompose_linear(nn.LazyLinear(4), 0.5), ModelError, "has no shape yet"),
    "meta": (
        lambda: LowRankDecomposition.decompose_linear(nn.Linear(4, 4, device="meta"), 0.5),
        ModelError,
        "meta device",
    ),
    "names": (lambda: LowRankDecomposition.apply_to_model(Wide(), protect="head"), RecipeError, "protect is 'head'"),
    "name": (lambda: LowRankDecomposition.apply_to_model(Wide(), protect=["hed"]), RecipeError, "did you mean 'head'"),
    "goal": (
        lambda: LowRankDecomposition.apply_to_model(Wide(), goal="parameters", amount=0.99),
        RecipeError,
        r"the goal of 99% fewer parameters cannot be met: at most \d+\.\d% can go",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_mistake_ends_in_one_line(name: str) -> None:
    call, kind, message = CALLS[name]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_named_and_nothing_is_touched() -> None:
    model = Wide()
    with torch.no_grad():
        model.first.weight[0, 0] = math.nan
    with pytest.raises(ModelError, match=r"'first.weight' holds NaN"):
        LowRankDecomposition.apply_to_model(model)
    with pytest.raises(ModelError, match="'weight' holds NaN"):
        LowRankDecomposition.decompose_linear(model.first, 0.5)
    assert type(model.second) is nn.Linear


def test_a_model_gives_a_new_one_and_says_what_it_did() -> None:
    model = seeded(Convolutions)
    before = copy.deepcopy(model.state_dict())
    result = LowRankDecomposition.apply_to_model(model, 0.25, multiple=4, example_inputs=normal(2, 3, 16, 16))
    assert {"depthwise", "classifier"} <= {refusal.name for refusal in result.refusals}
    assert len(result.changes) == 4
    assert result.model(normal(1, 3, 16, 16)).shape == (1, 10)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_with_calibration_the_outputs_are_closer() -> None:
    model = seeded(Wide)
    data = normal(256, 8) @ normal(8, 64, seed=1)
    results = [
        LowRankDecomposition.apply_to_model(model, 0.25, calibration=given).model(data)
        for given in (None, [data[:128], data[128:]])
    ]
    plain, whitened = ((result - model(data)).square().sum() for result in results)
    assert whitened < plain


def test_energy_and_include() -> None:
    result = LowRankDecomposition.apply_to_model(seeded(Wide), energy=0.6, multiple=4, include=["head"])
    assert [change.split(":")[0] for change in result.changes] == ["first", "second", "head"]


def test_several_inputs_and_an_embedding() -> None:
    inputs = {"features": normal(3, 4), "token": torch.arange(3)}
    result = LowRankDecomposition.apply_to_model(seeded(TwoInputs), 0.25, multiple=1, example_inputs=inputs)
    assert {refusal.name: refusal.reason for refusal in result.refusals}[
        "embedding"
    ] == "an embedding is looked up, not multiplied"
    assert [change.split(":")[0] for change in result.changes] == ["mix"]
