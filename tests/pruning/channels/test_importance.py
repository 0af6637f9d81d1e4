"""Importance, from closed forms on layers small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.importance import score
from edgecompress.pruning.channels.structured import Subject, examine
from edgecompress.pruning.criterion import UnitGroup


def _chain() -> Subject:
    """Two linear layers; the four hidden units are the one group."""
    first, last = nn.Linear(2, 4, bias=False), nn.Linear(4, 3, bias=False)
    module = nn.Sequential(first, nn.ReLU(), last)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 2.0], [0.0, 4.0], [3.0, -3.0]]))
        last.weight.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 3))
    return examine(module, (torch.ones(1, 2),))


def _of(subject: Subject, **arguments: object) -> list[float]:
    (group,) = subject.groups
    scores = score(subject, **arguments)  # type: ignore[arg-type]
    return [scores[unit] for unit in group.units]


def test_l1_and_l2_of_the_weights_that_make_a_unit() -> None:
    subject = _chain()
    made = torch.tensor([2.0, 4.0, 4.0, 6.0])
    assert _of(subject, criterion="l1", side="filter") == pytest.approx((made / made.mean()).tolist())
    lengths = torch.tensor([2.0, 8.0, 16.0, 18.0]).sqrt()
    assert _of(subject, criterion="l2", side="filter") == pytest.approx((lengths / lengths.mean()).tolist())


def test_the_weights_that_read_a_unit() -> None:
    assert _of(_chain(), criterion="l1", side="channel") == pytest.approx([0.4, 0.8, 1.2, 1.6])


def test_both_sides_are_the_mean_of_the_two() -> None:
    subject = _chain()
    sides = [torch.tensor(_of(subject, criterion="l1", side=side)) for side in ("filter", "channel")]
    assert _of(subject, criterion="l1") == pytest.approx(((sides[0] + sides[1]) / 2).tolist())


def test_taylor_is_what_the_loss_changes_by_to_first_order() -> None:
    """Setting a unit's outgoing weights to zero changes a loss that is linear in them by exactly its Taylor term."""
    subject = _chain()
    inputs, signs = torch.tensor([[1.0, 0.5]]), torch.tensor([1.0, -2.0, 0.5])
    (subject.module(inputs) * signs).sum().backward()
    gradients = {
        name: parameter.grad for name, parameter in subject.module.named_parameters() if parameter.grad is not None
    }
    with torch.no_grad():
        hidden = subject.module[1](subject.module[0](inputs))  # type: ignore[index]
        change = (hidden[0][None] * subject.module[2].weight * signs[:, None]).sum(0).abs()  # type: ignore[index]
    assert _of(subject, criterion="taylor", side="channel", gradients=gradients) == pytest.approx(change.tolist())


def test_the_scale_of_batch_norm_and_l2_where_there_is_none() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False), nn.Conv2d(2, 2, 1)
    )
    with torch.no_grad():
        module[1].weight.copy_(torch.tensor([0.5, -1.5, 1.0, 1.0]))  # type: ignore[operator]
    subject = examine(module, (torch.ones(1, 3, 4, 4),))
    scores, plain = score(subject, "bn_scale"), score(subject, "l2")
    first, second = subject.groups
    assert [scores[unit] for unit in first.units] == pytest.approx([0.5, 1.5, 1.0, 1.0])
    assert [scores[unit] for unit in second.units] == [plain[unit] for unit in second.units]


def _dropping_one(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    return torch.ones(group.units - 1)


def _dividing_by_zero(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    return torch.ones(group.units) / 0


def _listing(group: UnitGroup, _generator: torch.Generator) -> list[float]:
    return [1.0] * group.units


@pytest.mark.parametrize("criterion", [_dropping_one, _dividing_by_zero, _listing])
def test_what_gives_no_number_for_each_unit_is_told(criterion: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        score(_chain(), criterion)
    assert str(caught.value) == (
        f"criterion {criterion.__name__!r} gives no tensor of 4 finite numbers for the channels of '0'; repair it, or"
        " choose another"
    )


class Halves(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def test_a_criterion_is_given_what_the_network_computes_with() -> None:
    """Both sides of a group with a parametrization, a batch norm, biases and a transposed layer."""
    module = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 1), nn.Conv2d(2, 2, 1)
    )
    register_parametrization(module[0], "weight", Halves())
    original = module.get_parameter("0.parametrizations.weight.original").detach()
    seen: list[UnitGroup] = []

    def look(group: UnitGroup, _generator: torch.Generator) -> Tensor:
        seen.append(group)
        return torch.arange(group.units)

    assert list(score(examine(module, (torch.ones(1, 3, 4, 4),)), look, side="channel").values())[:4] == [0, 1, 2, 3]
    members = {member.name: member for member in seen[0].members}
    sides = {name: (member.side, member.counted, member.batch_norm) for name, member in members.items()}
    assert sides == {
        "0.bias": (None, False, False),
        "0.parametrizations.weight.original": ("filter", False, False),
        "1.weight": (None, False, True),
        "1.bias": (None, False, False),
        "3.weight": ("channel", True, False),
    }
    assert {member.gradient for member in members.values()} == {None}
    assert members["3.weight"].axis == 0
    assert torch.equal(members["0.parametrizations.weight.original"].values, original / 2)


def test_random_importance_comes_from_its_seed() -> None:
    subject = _chain()
    assert _of(subject, criterion="random", seed=1) == _of(subject, criterion="random", seed=1)
    assert _of(subject, criterion="random", seed=1) != _of(subject, criterion="random", seed=2)
