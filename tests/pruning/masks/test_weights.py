"""The weights of a model, each once, and a reason for every matrix that is left."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from edgecompress.errors import ModelError
from edgecompress.pruning.masks.mask import set_mask
from edgecompress.pruning.masks.weights import check_finite, find_weights
from tests.networks import ConvNet, seeded
from tests.pruning.networks import Tied, by_name


def test_roles_and_names() -> None:
    roles = {name: weight.role for name, weight in by_name(seeded(ConvNet)).items()}
    assert roles == {"features.0.weight": "layer", "features.3.weight": "layer", "classifier.weight": "classifier"}


def test_a_shared_weight_appears_once_with_all_its_modules() -> None:
    weights = by_name(Tied())
    assert weights.keys() == {
        "embedding.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "first.weight",
    }
    assert weights["first.weight"].modules == ("first", "second")
    assert weights["embedding.weight"].modules == ("embedding", "head")
    assert weights["embedding.weight"].role == "embedding"


def test_a_module_with_two_names_has_one_place() -> None:
    layer = nn.Linear(4, 4)
    (weight,) = by_name(nn.Sequential(layer, nn.ReLU(), layer)).values()
    assert weight.modules == ("0", "2")
    assert weight.holders == ((layer, "weight"),)


def test_a_parameter_that_a_stranger_shares_is_held_there_too() -> None:
    layer, stranger = nn.Linear(4, 4), nn.Module()
    stranger.copy = layer.weight
    weight = by_name(nn.Sequential(layer, stranger, nn.Linear(4, 4)))["0.weight"]
    assert weight.holders == ((layer, "weight"), (stranger, "copy"))
    set_mask(weight.holders, torch.zeros(4, 4, dtype=torch.bool))
    assert not getattr(*weight.holders[1]).any()


def test_masks_change_no_name_and_show_in_the_value() -> None:
    model = Tied()
    before = by_name(model)
    assert before["first.weight"].keep.all()
    keep = torch.eye(8).bool()
    set_mask(before["first.weight"].holders, keep)
    after = by_name(model)
    assert after.keys() == before.keys()
    assert [name for name, weight in after.items() if weight.masked] == ["first.weight"]
    assert torch.equal(after["first.weight"].keep, keep)
    assert torch.equal(after["first.weight"].value != 0, keep)
    assert after["first.weight"].kind == "Linear"


def _refused(model: nn.Module) -> dict[str, tuple[str, str]]:
    return {weight.name: (weight.kind, weight.reason) for weight in find_weights(model, None)[1]}


def test_other_matrices_are_refused_and_vectors_are_not_mentioned() -> None:
    bare = nn.Module()
    bare.register_parameter("query", nn.Parameter(torch.ones(3, 3)))
    refused = _refused(nn.Sequential(bare, nn.LSTM(2, 2), nn.BatchNorm2d(4), nn.Linear(2, 2)))
    assert refused.keys() == {"0.query", "1.weight_ih_l0", "1.weight_hh_l0"}
    assert refused["1.weight_ih_l0"][0] == "LSTM"
    assert "takes the weights of convolutions" in refused["0.query"][1]


def test_a_computed_weight_is_refused() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(2, 2)), nn.Linear(2, 2))
    prune.identity(model[1], "weight")  # type: ignore[no-untyped-call]
    refused = _refused(model)
    assert refused["0.weight"] == (
        "Linear",
        "the weight is computed from other tensors (a parametrization or a hook); remove that first",
    )
    assert "1.weight" in refused
    assert not by_name(model)


def test_integers_are_refused() -> None:
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    assert _refused(layer) == {"weight": ("Linear", "its values are int8, not floating point")}


@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_an_embedding_with_sparse_gradients_is_refused(kind: type[nn.Embedding]) -> None:
    refused = _refused(nn.Sequential(kind(5, 4, sparse=True), nn.Linear(4, 4)))
    assert refused["0.weight"][1].startswith("its gradients are sparse")


@pytest.mark.parametrize(("value", "kind"), [(torch.nan, "NaN"), (torch.inf, "infinity"), (-torch.inf, "infinity")])
def test_weights_without_order_are_refused_by_name(value: float, kind: str) -> None:
    model = seeded(ConvNet)
    weight = by_name(model)["features.3.weight"]
    check_finite(weight)
    weight.value[3, 1] = value
    with pytest.raises(ModelError, match=rf"the weight 'features\.3\.weight' holds {kind}"):
        check_finite(weight)
