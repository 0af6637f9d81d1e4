"""Names and wildcards decide what is pruned; what they cannot mean is refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from torch import nn
from torch.nn.utils import parametrizations

from edgecompress.errors import ModelError, RecipeError
from edgecompress.pruning.masks.layers import last_classifier
from edgecompress.pruning.masks.mask import set_mask
from edgecompress.pruning.masks.selection import check_choice, select
from edgecompress.pruning.masks.weights import find_weights
from tests.networks import ConvNet, LinearStack, TwoInputs, seeded
from tests.pruning.networks import Tied, by_name


def _chosen(model: nn.Module, include: Any = (), protect: Any = ()) -> list[str]:
    weights, unknown = find_weights(model, last_classifier(model))
    return [each.name for each in select(weights, check_choice(model, weights, unknown, include, protect))[0]]


@pytest.mark.parametrize(
    ("include", "protect", "wanted"),
    [
        ((), (), ["mix.weight"]),
        (("head",), (), ["mix.weight", "head.weight"]),
        (["embedding"], (), ["embedding.weight", "mix.weight"]),
        (("*",), (), ["embedding.weight", "mix.weight", "head.weight"]),
        (("h?ad",), ("mix",), ["head.weight"]),
        (("mix",), (), ["mix.weight"]),
    ],
)
def test_names_decide(include: Sequence[str], protect: Sequence[str], wanted: list[str]) -> None:
    assert _chosen(seeded(TwoInputs), include, protect) == wanted


def test_a_module_stands_for_all_that_is_in_it() -> None:
    assert _chosen(seeded(LinearStack), ("layers",)) == ["layers.0.weight", "layers.2.weight", "layers.4.weight"]
    assert _chosen(Tied(), (), ("att*",)) == ["first.weight"]
    assert _chosen(seeded(LinearStack), (), ("layers.0",)) == ["layers.2.weight"]


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_shared_weight_goes_by_each_of_its_names(name: str) -> None:
    assert "first.weight" not in _chosen(Tied(), (), (name,))


@pytest.mark.parametrize("name", ["embedding", "head"])
def test_a_tied_classifier_is_pruned_where_either_is_named(name: str) -> None:
    assert "embedding.weight" in _chosen(Tied(), (name,))


def test_the_root_has_a_wildcard() -> None:
    assert _chosen(nn.Linear(2, 2), ("*",)) == ["weight"]


def test_what_is_protected_is_said_with_the_reason() -> None:
    model = seeded(TwoInputs)
    weights, unknown = find_weights(model, "head")
    _, refusals = select(weights, check_choice(model, weights, unknown, (), ()))
    assert [(refusal.name, refusal.kind, refusal.reason) for refusal in refusals] == [
        ("embedding.weight", "Embedding", "an embedding is protected; name it in include to prune it"),
        ("head.weight", "Linear", "the last classifier is protected; name it in include to prune it"),
    ]


@pytest.mark.parametrize(
    ("include", "protect", "message"),
    [
        (("clasifier",), (), "unknown module 'clasifier' in include; did you mean 'classifier'?"),
        ((), ("feature",), "unknown module 'feature' in protect; did you mean 'features'?"),
        (("xyz*",), (), "unknown module 'xyz*' in include"),
        (
            ("features.1",),
            (),
            "'features.1' in include is of type BatchNorm2d and holds no weight to prune; name a convolution, a linear"
            " layer, an attention or an embedding",
        ),
        (("pool",), (), "'pool' in include is of type AdaptiveAvgPool2d and holds no weight to prune; name a"),
        (("classifier",), ("classifier",), "'classifier' stands in both include and protect; leave it out of one"),
        (("*",), ("features.0",), "'features.0' stands in both include and protect; leave it out of one"),
        ("classifier", (), "include is 'classifier'; give a list of module names"),
        ((), (3,), "protect is (3,); give a list of module names"),
        (None, (), "include is None; give a list of module names"),
    ],
)
def test_a_name_that_means_nothing_is_refused(include: Any, protect: Any, message: str) -> None:
    with pytest.raises(RecipeError) as error:
        _chosen(seeded(ConvNet), include, protect)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_computed_weight_that_is_named_is_refused_with_its_reason() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)), nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(RecipeError, match=r"'0' in include holds no weight to prune; '0\.weight': the weight is comp"):
        _chosen(model, ("0",))


def test_the_modules_of_a_mask_have_no_names_of_their_own() -> None:
    model = seeded(ConvNet)
    for weight in by_name(model).values():
        set_mask(weight.holders, weight.keep)
    assert _chosen(model, ("classifier",)) == ["features.0.weight", "features.3.weight", "classifier.weight"]
    with pytest.raises(RecipeError, match="unknown module"):
        _chosen(model, ("classifier.parametrizations",))


def test_a_model_without_weights_to_prune_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"^nothing in the model can be pruned: it has no weight of a convolution, .*; give another$"
    ):
        _chosen(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()))
    with pytest.raises(
        ModelError,
        match=r"^nothing is left to prune: '0' and all else is protected; name it in include, or take it from protect$",
    ):
        _chosen(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
