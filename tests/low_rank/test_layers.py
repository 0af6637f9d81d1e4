"""Which layers can be decomposed, and why others cannot."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from edgecompress import ModelError, ModelPruner, RecipeError
from edgecompress.low_rank.layers import check_finite, find_layers, obstacle, replace, unprotected
from tests.low_rank.networks import Convolutions, Wide
from tests.networks import seeded
from tests.pruning.networks import Tied


class Scaled(nn.Linear):
    """A linear layer that does more."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def _masked() -> nn.Module:
    pruner = ModelPruner(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    pruner.magnitude_pruning(0.5)
    return pruner.model.get_submodule("0")


def _hooked() -> nn.Module:
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda *_: None)
    return layer


OBSTACLES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "grouped": (lambda: nn.Conv2d(4, 8, 3, groups=2), "a grouped convolution"),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), "a depthwise convolution"),
    "transposed": (lambda: nn.ConvTranspose2d(4, 4, 3), "a transposed convolution"),
    "one axis": (lambda: nn.Conv1d(4, 4, 3), "a kernel above 1"),
    "three axes": (lambda: nn.Conv3d(4, 4, 3), "but a Conv3d"),
    "subclass": (lambda: Scaled(4, 4), "but a Scaled, whose own code may do more"),
    "mask": (_masked, "masked or otherwise parametrized"),
    "weight norm": (lambda: weight_norm(nn.Linear(4, 4)), "masked or otherwise parametrized"),
    "hook": (_hooked, "it has hooks"),
    "embedding": (lambda: nn.Embedding(4, 4), "looked up"),
    "attention": (lambda: nn.MultiheadAttention(4, 2), "its own code reads its weights"),
    "complex": (lambda: nn.Linear(4, 4, dtype=torch.complex64), "its weight is torch.complex64"),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_an_obstacle_is_named(name: str) -> None:
    make, reason = OBSTACLES[name]
    assert reason in (obstacle(make()) or "")


@pytest.mark.parametrize("layer", [nn.Linear(4, 4), nn.Conv2d(4, 4, 3), nn.Conv1d(4, 4, 1)])
def test_plain_layers_have_none(layer: nn.Module) -> None:
    assert obstacle(layer) is None


def test_what_is_shared_or_read_by_attention_is_left_whole() -> None:
    layers, refusals = find_layers(Tied())
    assert not layers
    assert {refusal.name: refusal.reason for refusal in refusals} == {
        "embedding": "its weight is shared with 'head'",
        "attention": "its own code reads its weights",
        "attention.out_proj": "MultiheadAttention reads its weight and does not call it",
        "first": "its weight is shared with 'second'",
        "second": "its weight is shared with 'first'",
        "head": "its weight is shared with 'embedding'",
    }


def test_one_module_in_two_places_is_left_whole() -> None:
    layer = nn.Linear(4, 4)
    layers, (refusal,) = find_layers(nn.Sequential(layer, nn.ReLU(), layer))
    assert not layers
    assert refusal.reason == "its weight is shared with '2'"


def test_the_feed_forward_part_of_the_encoder_layer_is_left_whole() -> None:
    layers, refusals = find_layers(nn.TransformerEncoderLayer(8, 2))
    assert not layers
    assert {refusal.name for refusal in refusals} >= {"linear1", "linear2", "self_attn.out_proj"}


def test_the_last_classifier_is_protected_unless_it_is_named() -> None:
    model = Wide()
    layers, _ = find_layers(model)
    free, refusals = unprotected(layers, model, "head", (), ("f*",))
    assert list(free) == ["second"]
    assert {refusal.name: refusal.reason for refusal in refusals} == {
        "first": "protected by 'f*'",
        "head": "the last classifier is protected; name it in 'low_rank.include'",
    }
    assert list(unprotected(layers, model, "head", ("head",), ())[0]) == ["first", "second", "head"]


@pytest.mark.parametrize(
    ("include", "protect", "message"),
    [
        (("heads",), (), r"'low_rank.include' names 'heads', which the model does not have; did you mean 'head'\?"),
        ((), ("scond",), r"'low_rank.protect' names 'scond', which .* did you mean 'second'\?"),
        (("head",), ("h*",), "'head' stands in both"),
    ],
)
def test_names_that_mean_nothing(include: tuple[str, ...], protect: tuple[str, ...], message: str) -> None:
    model = Wide()
    with pytest.raises(RecipeError, match=message):
        unprotected(find_layers(model)[0], model, "head", include, protect)


def test_a_name_that_holds_nothing_to_decompose() -> None:
    model = seeded(Convolutions)
    with pytest.raises(RecipeError, match="'depthwise', which holds no layer that can be decomposed"):
        unprotected(find_layers(model)[0], model, "classifier", ("depthwise",), ())


@pytest.mark.parametrize(("value", "kind"), [(math.nan, "NaN"), (math.inf, "infinity")])
def test_weights_that_are_not_finite_are_named(value: float, kind: str) -> None:
    model = Wide()
    with torch.no_grad():
        model.second.bias[0] = value
    with pytest.raises(ModelError, match=rf"'second.bias' holds {kind}"):
        check_finite(find_layers(model)[0])


def test_a_layer_is_replaced_wherever_it_stands() -> None:
    other = nn.Identity()
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2))})
    assert replace(model, "a.0", other).get_submodule("a.0") is other
    assert replace(nn.Linear(2, 2), "", other) is other
