"""Masks hold what they pruned through training, copies, files and export, and end as exact zeros."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from edgecompress.errors import ModelError
from edgecompress.modules.copies import copied
from edgecompress.pruning.masks.mask import Mask, make_permanent, mask_of, permanent_copy, set_mask
from tests.networks import LinearStack, seeded, vectors

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, weight_decay=0.1),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
}


def _linears(model: nn.Module) -> list[nn.Linear]:
    return [part for part in model.modules() if isinstance(part, nn.Linear)]


def _draw(shape: torch.Size, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.5


def _masked(seed: int = 0) -> nn.Module:
    model = seeded(LinearStack)
    for layer in _linears(model):
        set_mask([(layer, "weight")], _draw(layer.weight.shape, seed))
    return model


def _original(layer: nn.Module, name: str = "weight") -> nn.Parameter:
    assert isinstance(layer.parametrizations, nn.ModuleDict)
    original = layer.parametrizations[name].original
    assert isinstance(original, nn.Parameter)
    return original


def _train(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for features, labels in vectors():
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(features), labels))
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_step_revives_a_weight(name: str) -> None:
    model = seeded(LinearStack).train()
    optimizer = OPTIMIZERS[name](model.parameters())
    _train(model, optimizer)  # momentum of the time before the masks
    for layer in _linears(model):
        set_mask([(layer, "weight")], _draw(layer.weight.shape))
    before = [layer.weight.detach().clone() for layer in _linears(model)]
    _train(model, optimizer)
    for layer, old in zip(_linears(model), before, strict=True):
        assert torch.equal(layer.weight == 0, ~_draw(layer.weight.shape))
        kept = _draw(layer.weight.shape)
        assert (layer.weight != old)[kept].float().mean() > 0.9  # the rest belongs to units that never fire


def test_the_gradient_is_that_of_a_product_with_the_mask() -> None:
    layer, keep = nn.Linear(4, 3), _draw(torch.Size((3, 4)))
    set_mask([(layer, "weight")], keep)
    x = torch.arange(8.0).view(2, 4)
    torch.autograd.backward(layer(x).sum())
    gradient = _original(layer).grad
    assert gradient is not None
    assert torch.equal(gradient, x.sum(0) * keep)


def test_a_value_that_is_not_finite_below_a_mask_stays_there() -> None:
    layer = nn.Linear(2, 1)
    set_mask([(layer, "weight")], torch.tensor([[False, True]]))
    with torch.no_grad():
        _original(layer)[0, 0] = torch.inf
    assert layer.weight[0, 0] == 0


def test_an_assigned_weight_is_masked() -> None:
    layer, keep = nn.Linear(4, 3), _draw(torch.Size((3, 4)))
    set_mask([(layer, "weight")], keep)
    layer.weight = torch.ones(3, 4)
    assert torch.equal(layer.weight, keep.float())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_state_dict_brings_its_masks_along(seed: int) -> None:
    saved, fresh = _masked(), _masked(seed)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1)
    fresh.load_state_dict(saved.state_dict())
    for found, wanted in zip(_linears(fresh), _linears(saved), strict=True):
        assert torch.equal(found.weight, wanted.weight)
        assert torch.equal(found.weight == 0, ~_draw(found.weight.shape))


def test_later_masks_add_to_earlier_ones() -> None:
    layer = nn.Linear(8, 8)
    first, second = _draw(torch.Size((8, 8)), 0), _draw(torch.Size((8, 8)), 1)
    for keep in (first, second):
        set_mask([(layer, "weight")], keep)
    assert torch.equal(layer.weight != 0, first & second)
    assert isinstance(layer.parametrizations, nn.ModuleDict)
    assert len(list(layer.parametrizations["weight"].children())) == 1


def test_the_mask_does_not_alias_what_it_was_made_from() -> None:
    layer, keep = nn.Linear(8, 8), _draw(torch.Size((8, 8)))
    set_mask([(layer, "weight")], keep)
    wanted = layer.weight.detach().clone()
    keep.fill_(False)
    assert torch.equal(layer.weight, wanted)


def test_permanent_is_exact_and_plain() -> None:
    model = _masked()
    kept = [(_original(layer), layer.weight.detach().clone()) for layer in _linears(model)]
    assert make_permanent(model) == ("layers.0.weight", "layers.2.weight", "layers.4.weight")
    assert model.state_dict().keys() == seeded(LinearStack).state_dict().keys()
    for layer, (parameter, value) in zip(_linears(model), kept, strict=True):
        assert type(layer) is nn.Linear
        assert layer.weight is parameter  # the optimizer still knows it
        assert torch.equal(layer.weight, value)
    assert make_permanent(model) == ()


def test_copies_are_independent() -> None:
    # PyTorch lets deep copies share the class that holds the property: removing it would break the other one.
    model = _masked()
    x = vectors()[0][0]
    wanted = model(x)
    duplicate = copied(model)
    plain = permanent_copy(model)
    assert torch.equal(plain(x), wanted)
    assert torch.equal(model(x), wanted)
    assert torch.equal(duplicate(x), wanted)
    set_mask([(_linears(duplicate)[0], "weight")], torch.zeros(64, 32, dtype=torch.bool))
    assert torch.equal(model(x), wanted)
    make_permanent(model)
    assert torch.equal(model(x), wanted)
    assert not torch.equal(duplicate(x), wanted)


def test_masking_a_copy_leaves_the_parametrized_original_alone() -> None:
    layer = nn.Linear(4, 4)
    parametrize.register_parametrization(layer, "bias", nn.Identity())
    duplicate = copy.deepcopy(layer)
    set_mask([(duplicate, "weight")], torch.zeros(4, 4, dtype=torch.bool))
    assert isinstance(layer.weight, nn.Parameter)
    assert layer(torch.ones(1, 4)).shape == (1, 4)
    make_permanent(duplicate)
    assert torch.equal(duplicate(torch.ones(1, 4))[0], duplicate.bias)


def test_the_program_of_torch_export_is_masked() -> None:
    model, x = _masked(), vectors()[0][0]
    program = torch.export.export(model, (x,)).module()
    assert torch.equal(program(x), model(x))


def test_one_mask_for_a_shared_weight() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    holders = [(first, "weight"), (second, "weight")]
    set_mask(holders, _draw(torch.Size((4, 4))))
    assert mask_of(*holders[0]) is mask_of(*holders[1])
    assert torch.equal(first.weight, second.weight)
    duplicate = copied(model)
    assert isinstance(duplicate, nn.Sequential)
    assert mask_of(duplicate[0], "weight") is mask_of(duplicate[1], "weight")
    duplicate.load_state_dict(model.state_dict())
    make_permanent(model)
    assert first.weight is second.weight
    assert torch.equal(first.weight != 0, _draw(torch.Size((4, 4))))


def test_a_layer_that_came_to_share_a_masked_weight_gets_its_mask() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    set_mask([(first, "weight")], _draw(torch.Size((4, 4)), 0))
    second.weight = _original(first)
    set_mask([(second, "weight"), (first, "weight")], _draw(torch.Size((4, 4)), 1))
    wanted = _draw(torch.Size((4, 4)), 0) & _draw(torch.Size((4, 4)), 1)
    assert torch.equal(first.weight != 0, wanted)
    assert torch.equal(second.weight != 0, wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_point_type_is_masked(dtype: torch.dtype) -> None:
    layer, keep = nn.Linear(4, 4).to(dtype), _draw(torch.Size((4, 4)))
    before = layer.weight.detach().clone()
    set_mask([(layer, "weight")], keep)
    assert layer.weight.dtype == dtype
    layer.float().to(dtype)
    assert torch.equal(layer.weight, before * keep)
    make_permanent(layer)
    assert layer.weight.dtype == dtype


def test_a_frozen_weight_stays_frozen_and_its_memory_format_stays() -> None:
    layer = nn.Conv2d(4, 4, 3).requires_grad_(False)
    layer.weight.data = layer.weight.to(memory_format=torch.channels_last)
    strides = layer.weight.stride()
    set_mask([(layer, "weight")], _draw(layer.weight.shape))
    assert layer.weight.stride() == strides
    make_permanent(layer)
    assert layer.weight.stride() == strides
    assert not layer.weight.requires_grad


def test_a_parametrization_on_top_of_a_mask_is_not_thrown_away() -> None:
    model = _masked()
    layer = _linears(model)[1]
    parametrize.register_parametrization(layer, "weight", nn.Identity())
    with pytest.raises(ModelError, match=r"^'.*' has a mask and another parametrization; remove that one first$"):
        make_permanent(model)
    assert mask_of(_linears(model)[0], "weight") is not None


def test_a_foreign_parametrization_is_no_mask() -> None:
    layer = parametrizations.weight_norm(nn.Linear(4, 4))
    assert mask_of(layer, "weight") is None
    assert make_permanent(layer) == ()
    assert parametrize.is_parametrized(layer, "weight")


def test_a_model_that_cannot_be_copied_is_named() -> None:
    layer = nn.Linear(2, 2)
    layer.register_buffer("computed", layer.weight * 2)
    with pytest.raises(ModelError, match=r"Linear cannot be copied \(copy\.deepcopy\): Only Tensors created"):
        copied(layer)


def test_a_mask_is_a_buffer() -> None:
    assert dict(Mask(torch.ones(2, dtype=torch.bool)).named_buffers()).keys() == {"keep"}
