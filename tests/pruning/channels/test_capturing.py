"""The training graph is captured where parameters take part in it alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress import Distiller, ModelPruner
from edgecompress.pruning.channels.capturing import capture_modes
from edgecompress.pruning.channels.structured import FIXED, cut_out, examine
from tests.pruning.oracle import difference, silenced

IMAGES = torch.randn(4, 3, 8, 8)


class _Deep(nn.Module):
    """Deep supervision: a second head, in training alone."""

    def __init__(self, *auxiliary: nn.Module) -> None:
        super().__init__()
        self.stem, self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)
        self.auxiliary = nn.Sequential(*auxiliary)

    def forward(self, x: Tensor) -> Any:
        hidden = self.stem(x).relu()
        result = self.head(self.body(hidden).relu().mean((2, 3)))
        return (result, self.supervise(hidden)) if self.training else result

    def supervise(self, hidden: Tensor) -> Any:
        return self.auxiliary(hidden)


class _Branching(_Deep):
    """What ``torch.export`` cannot capture."""

    def supervise(self, hidden: Tensor) -> Any:
        return self.auxiliary(hidden) if hidden.sum() > 0 else -self.auxiliary(hidden)


class _FixedSize(_Deep):
    def supervise(self, hidden: Tensor) -> Any:
        return self.auxiliary(hidden.mean((2, 3)).view(-1, 8))


HEADS: dict[str, tuple[nn.Module, ...]] = {
    "convolution": (nn.Conv2d(8, 5, 1),),
    "depthwise and norms": (nn.Conv2d(8, 8, 1, groups=8), nn.BatchNorm2d(8), nn.GroupNorm(8, 8), nn.Conv2d(8, 5, 1)),
    "transposed": (nn.ConvTranspose2d(8, 6, 2), nn.Conv2d(6, 5, 1)),
    "flattened": (nn.Flatten(), nn.Linear(512, 5)),
    "without statistics of one sample": (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 5)),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_pruned_network_trains_as_the_silenced_one_does(head: str) -> None:
    torch.manual_seed(0)
    network = _Deep(*copy.deepcopy(HEADS[head])).eval()
    subject = examine(network, (IMAGES[:1],))
    assert {"stem", "body"} <= {group.name for group in subject.groups}
    pruned = cut_out(subject, [unit for group in subject.groups for unit in group.units[::2]])
    expected = silenced(network, pruned.removed)
    assert not network.training
    assert difference(pruned.model, expected, (IMAGES,)) <= 1e-4
    assert difference(pruned.model.train(), expected.train(), (IMAGES,)) <= 1e-3


def test_so_do_those_of_the_front_end() -> None:
    torch.manual_seed(0)
    network = _Deep(nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    pruner = ModelPruner(network, IMAGES[:1])
    pruner.structured_pruning("filter", 0.5)
    model: Any = pruner.model
    assert (model.stem.out_channels, model.auxiliary[0].in_channels) == (4, 4)
    assert [each.shape for each in model.train()(IMAGES)] == [(4, 5), (4, 5)]
    Distiller(network, model).train_student([(IMAGES, torch.arange(4))], epochs=1)


def test_evaluation_is_enough_where_it_uses_every_parameter() -> None:
    captured = capture_modes(nn.Sequential(nn.Linear(3, 4), nn.Dropout()), (torch.randn(2, 3),), {})
    assert (captured.training, captured.fault) == (None, "")


def test_parameters_that_nothing_uses_stay_and_hold_up_nothing() -> None:
    network = _Deep(nn.Conv2d(8, 5, 1))
    network.spare = nn.Linear(8, 8)
    subject = examine(network.eval(), (IMAGES,))
    assert [group.name for group in subject.groups] == ["stem", "body"]
    assert "8 channels stay: each is not used by the network" in {refusal.reason for refusal in subject.refusals}


def test_where_training_cannot_be_captured_what_it_could_read_stays() -> None:
    for head, others in ((nn.Conv2d(8, 5, 1), []), (nn.Conv2d(64, 5, 1), ["stem", "body"])):
        network = _Branching(head).eval()
        subject = examine(network, (IMAGES,))
        assert [group.name for group in subject.groups] == others
        whole = [refusal.reason for refusal in subject.refusals if "training cannot be captured" in refusal.reason]
        assert bool(whole) == (not others)
        assert all("'auxiliary.0.weight'" in reason for reason in whole)


def test_a_flattened_tensor_could_be_read_too() -> None:
    network = _Branching(nn.Flatten(), nn.Linear(512, 5)).eval()
    assert examine(network, (IMAGES,)).groups == ()


def test_what_the_training_code_fixes_is_left_whole() -> None:
    network = _FixedSize(nn.Linear(8, 5)).eval()
    subject = examine(network, (IMAGES,))
    pruned = cut_out(subject, [unit for group in subject.groups for unit in group.units[::2]])
    assert [refusal.name for refusal in pruned.refusals if refusal.reason == FIXED] == ["stem"]
    assert [each.shape for each in pruned.model.train()(IMAGES)] == [(4, 5), (4, 5)]
