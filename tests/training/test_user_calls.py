"""A loss is tried before anything that takes long."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import InputError
from edgecompress.training.losses import Loss, TargetLoss, cross_entropy
from edgecompress.training.micro_batches import MicroBatch
from edgecompress.training.user_calls import try_out
from tests.networks import ConvNet, images, seeded

IMAGE, LABELS = images()[0]
PART = MicroBatch(inputs={"image": IMAGE}, labels=LABELS, rows=len(LABELS))


def test_what_is_tried_leaves_no_trace() -> None:
    network = seeded(ConvNet).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    with torch.no_grad():
        try_out(network, cross_entropy, PART, "the first train batch")
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_frozen_network_is_no_fault_of_the_loss() -> None:
    try_out(seeded(ConvNet).requires_grad_(False), cross_entropy, PART, "the first train batch")


def _of(value: Any) -> Loss:
    return TargetLoss(name="mine.py:loss", function=lambda outputs, targets: value(outputs))


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (
            _of(lambda outputs: outputs.sum() * math.nan),
            "the first train batch: the loss is nan before the first step; look at that batch and at what the network"
            " answers to it, or repair the loss",
        ),
        (
            _of(lambda outputs: torch.tensor(1.0)),
            "the first train batch: loss 'mine.py:loss' has no gradient; compute it from the outputs with PyTorch,"
            " without detach(), item() or NumPy",
        ),
    ],
)
def test_what_cannot_be_learned_by_is_told_with_the_batch(loss: Loss, told: str) -> None:
    with pytest.raises(InputError) as caught:
        try_out(seeded(ConvNet), loss, PART, "the first train batch")
    assert str(caught.value) == told


def test_a_network_that_fails_is_told_apart() -> None:
    class Failing(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise ValueError("too small")

    with pytest.raises(InputError, match="the first train batch: the network fails: ValueError: too small; repair"):
        try_out(Failing(), cross_entropy, PART, "the first train batch")
