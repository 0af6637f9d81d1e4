"""Copies of modules: to work on, and to capture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecompress.modules.copies import copied, frozen
from edgecompress.modules.modes import evaluating
from tests.networks import ConvNet, images, seeded


class _Remembers(nn.Module):
    """Keeps a tensor that it has computed, which deepcopy refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.last: Tensor = self.layer(torch.ones(1, 4))

    def forward(self, features: Tensor) -> Tensor:
        self.last = self.layer(features)
        return self.last


def test_a_module_that_keeps_what_it_computed_can_be_copied() -> None:
    model = _Remembers()
    duplicate = copied(model)
    assert isinstance(duplicate, _Remembers)
    assert torch.equal(duplicate.last, model.last)
    assert model.last.requires_grad
    assert duplicate.last.is_leaf


def test_a_frozen_copy_shares_the_weights_and_leaves_the_model_trainable() -> None:
    model = seeded(ConvNet).train()
    model.register_parameter("tied", next(model.parameters()))
    still = frozen(model)
    pairs = list(zip(model.parameters(), still.parameters(), strict=True))
    assert all(own.data_ptr() == other.data_ptr() for own, other in pairs)
    assert all(own.requires_grad and not other.requires_grad for own, other in pairs)
    assert still.tied is next(still.parameters())
    assert (model.training, still.training) == (True, False)


def test_a_frozen_copy_leaves_the_statistics_of_the_model_alone() -> None:
    model = seeded(ConvNet)
    before = {name: value.clone() for name, value in model.named_buffers()}
    frozen(model).train()(images(4)[0][0])
    assert before
    assert all(torch.equal(before[name], value) for name, value in model.named_buffers())
    with evaluating(model):
        assert torch.equal(model(images(4)[0][0]), frozen(model)(images(4)[0][0]))
