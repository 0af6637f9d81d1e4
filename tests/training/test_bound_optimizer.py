"""A user's own optimizer goes on with the copy of the network, with all that it holds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, StepLR

from edgecompress.errors import ModelError, RecipeError
from edgecompress.training import Settings, TrainingStep, cross_entropy, train
from edgecompress.training.bound_optimizer import add_parameters, copied_together, freeze_others
from edgecompress.training.checkpoint import fingerprint
from edgecompress.training.engine import Engine
from edgecompress.training.micro_batches import with_channels_last
from tests.networks import ConvNet, images, seeded
from tests.training.batches import batches, same, stack


def _step(network: nn.Module, optimizer: Optimizer, index: int = 0) -> None:
    image, labels = images()[index]
    optimizer.zero_grad()
    functional.cross_entropy(network(image), labels).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _grouped(network: Any) -> Optimizer:
    """Two groups of their own rates; the classifier alone decays."""
    groups = [
        {"params": network.features.parameters(), "lr": 1e-3},
        {"params": network.classifier.parameters(), "weight_decay": 0.1},
    ]
    return AdamW(groups, lr=1e-2, weight_decay=0.0)


def test_a_copy_goes_on_as_the_original_would() -> None:
    network = seeded(ConvNet).train()
    optimizer = _grouped(network)
    _step(network, optimizer)
    before = copy.deepcopy(network)
    copied, bound = copied_together(network, optimizer)
    for index in (1, 2):
        _step(copied, bound, index)
    assert same(network, before)
    for index in (1, 2):
        _step(network, optimizer, index)
    assert same(copied, network)


@pytest.mark.parametrize("convert", [with_channels_last, nn.SyncBatchNorm.convert_sync_batchnorm])
def test_it_stays_bound_when_layouts_and_norms_are_converted(convert: Any) -> None:
    network = seeded(ConvNet)
    copied, bound = copied_together(network, _grouped(network))
    held = {id(parameter) for group in bound.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in convert(copied).parameters()}


def test_a_scheduler_of_ones_own_and_further_attributes_do_not_lead_back() -> None:
    class Noting(SGD):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, lr=0.1)
            self.favourite = self.param_groups[0]["params"][0]

        def step(self, closure: Any = None) -> Any:
            self.favourite.data.zero_()
            return super().step(closure)

    network = seeded(ConvNet).train()
    optimizer = Noting(network.parameters())
    StepLR(optimizer, 1)
    before = copy.deepcopy(network)
    copied, bound = copied_together(network, optimizer)
    _step(copied, bound)
    assert same(network, before)
    assert not same(copied, before)
    assert isinstance(bound, Noting)
    assert bound.favourite is next(copied.parameters())


def test_what_makes_an_optimizer_is_handed_back() -> None:
    def make(groups: Any, rate: float) -> Optimizer:
        return SGD(groups, lr=rate)

    assert copied_together(stack(), make)[1] is make


def test_a_parameter_that_is_not_the_networks_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"a parameter of shape \(64, 32\) that LinearStack does not have; make it for"
    ):
        train(stack(), batches(images()), Settings(optimizer=SGD(stack().parameters(), lr=1.0)), cross_entropy)


def test_what_it_does_not_hold_is_frozen() -> None:
    network: Any = seeded(ConvNet)
    freeze_others(network, SGD(network.classifier.parameters(), lr=0.1))
    wanted = {"classifier.weight", "classifier.bias"}
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == wanted
    with pytest.raises(ModelError, match="the optimizer holds no parameter to train; set requires_grad on some"):
        freeze_others(network, SGD(network.features.parameters(), lr=0.1))


def test_further_parameters_get_the_defaults() -> None:
    network, parts = seeded(ConvNet), nn.ModuleList([nn.Identity(), nn.Linear(2, 3)])
    for optimizer in (_grouped(network), AdamW(network.named_parameters(), lr=1e-2, weight_decay=0.0)):
        add_parameters(optimizer, parts)
        added = optimizer.param_groups[-1]
        assert [id(each) for each in added["params"]] == [id(parameter) for parameter in parts.parameters()]
        assert (added["lr"], added["weight_decay"]) == (1e-2, 0.0)
        add_parameters(optimizer, nn.Identity())
        assert optimizer.param_groups[-1] is added


def _constant(optimizer: Optimizer, _steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 1.0)


def _halved(optimizer: Optimizer, _steps: int) -> LRScheduler:
    return LambdaLR(optimizer, lambda step: 0.5)


def test_training_takes_the_steps_of_a_bare_loop_with_the_same_optimizer() -> None:
    network = seeded(ConvNet)
    optimizer = _grouped(network)
    network.train()
    _step(network, optimizer)
    before, state = copy.deepcopy(network), copy.deepcopy(optimizer.state_dict())
    settings = Settings(epochs=1, optimizer=optimizer, scheduler=_constant, channels_last=False)
    found = train(network, batches(images()), settings, cross_entropy).model
    assert same(network, before)
    assert fingerprint(nn.Identity(), optimizer.state_dict()) == fingerprint(nn.Identity(), state)
    for index in range(4):
        _step(network, optimizer, index)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value)


def test_the_scheduler_scales_its_own_rates() -> None:
    network = seeded(ConvNet)
    engine = Engine.start(network, Settings(optimizer=_grouped(network), scheduler=_halved, learning_rate=7.0), 4)
    assert [group["lr"] for group in engine.optimizer.param_groups] == [5e-4, 5e-3]


def test_clipping_and_steps_see_what_it_holds_alone() -> None:
    """The gradients of other parameters would add up over the steps, since nothing clears them."""
    network: Any = seeded(ConvNet)
    settings = Settings(epochs=1, optimizer=SGD(network.classifier.parameters(), lr=0.1), max_gradient_norm=1e-3)
    seen: list[TrainingStep] = []
    trained = train(network, batches(images()), settings, cross_entropy, on_step=seen.append).model
    assert all(parameter.grad is None for parameter in seen[-1].model.get_submodule("features").parameters())
    assert torch.equal(trained.get_parameter("features.0.weight"), network.get_parameter("features.0.weight"))
    assert not torch.equal(trained.get_parameter("classifier.weight"), network.get_parameter("classifier.weight"))
    assert all(parameter.requires_grad for parameter in trained.parameters())


def test_the_fingerprint_is_of_kind_rates_groups_and_state() -> None:
    network: Any = seeded(ConvNet)
    stepped = Adam(network.parameters(), lr=1e-3)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    prints = []
    kinds = [
        Adam(network.parameters(), lr=1e-3),
        Adam(network.parameters(), lr=2e-3),
        AdamW(network.parameters(), lr=1e-3),
        Adam(network.classifier.parameters(), lr=1e-3),
        Adam(network.features.parameters(), lr=1e-3),
        _grouped(network),
    ]
    prints = [fingerprint(nn.Identity(), Settings(optimizer=kind)) for kind in kinds]
    assert len(set(prints)) == len(kinds)
    assert fingerprint(nn.Identity(), Settings(optimizer=Adam(network.parameters(), lr=1e-3))) == prints[0]
    weights: list[Tensor] = [parameter.detach().clone() for parameter in network.parameters()]
    stepped.step()
    for parameter, value in zip(network.parameters(), weights, strict=True):
        parameter.data.copy_(value)
    assert fingerprint(nn.Identity(), Settings(optimizer=stepped)) != prints[0]
