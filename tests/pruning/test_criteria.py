"""Criteria, from closed forms on groups small enough to work out by hand, and properties that all of them have."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgecompress.pruning.criterion import Criterion, Side, UnitGroup, UnitWeights
from edgecompress.recipe.tables import Pruning
from edgecompress.registry import CRITERIA, built_in, find

MADE = torch.tensor([[1.0, -1.0], [2.0, 2.0], [0.0, 4.0], [3.0, -3.0]])
READ = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 3)


def _weights(values: Tensor, axis: int, side: Side | None = "filter", gradient: Tensor | None = None) -> UnitWeights:
    """A parameter whose every index along the axis is a unit."""
    return UnitWeights(
        name="conv.weight",
        values=values,
        gradient=gradient,
        axis=axis,
        places=(torch.arange(values.shape[axis]),),
        units=values.shape[axis],
        side=side,
        counted=side is not None,
        batch_norm=False,
    )


def _group(*members: UnitWeights) -> UnitGroup:
    return UnitGroup(name="conv", units=members[0].units, members=members)


def _scores(name: str, group: UnitGroup, seed: int = 0) -> Tensor:
    criterion: Criterion = find(CRITERIA, name)
    return criterion(group, torch.Generator().manual_seed(seed))


def test_l1_and_l2_are_norms_over_their_mean() -> None:
    sums, lengths = torch.tensor([2.0, 4.0, 4.0, 6.0]), torch.tensor([2.0, 8.0, 16.0, 18.0]).sqrt()
    group = _group(_weights(MADE, 0))
    assert _scores("l1", group).tolist() == pytest.approx((sums / sums.mean()).tolist())
    assert _scores("l2", group).tolist() == pytest.approx((lengths / lengths.mean()).tolist())


def test_several_tensors_have_one_say_each() -> None:
    both = _scores("l1", _group(_weights(MADE, 0), _weights(READ, 1, "channel")))
    assert both.tolist() == pytest.approx([0.45, 0.9, 1.1, 1.55])


def test_what_is_not_counted_has_no_say() -> None:
    biases = _weights(torch.tensor([9.0, 0, 0, 0]), 0, None)
    for name in ("l1", "l2", "taylor", "bn_scale"):
        gradient = torch.ones_like(MADE)
        alone = _group(_weights(MADE, 0, gradient=gradient))
        assert torch.equal(_scores(name, alone), _scores(name, replace(alone, members=(*alone.members, biases))))


def test_the_batch_norm_decides_where_there_is_one() -> None:
    scale = replace(_weights(torch.tensor([0.5, -1.5, 1.0, 1.0]), 0, None), batch_norm=True)
    weights = _weights(MADE, 0)
    assert _scores("bn_scale", _group(weights, scale)).tolist() == pytest.approx([0.5, 1.5, 1.0, 1.0])
    assert torch.equal(_scores("bn_scale", _group(weights)), _scores("l2", _group(weights)))


def test_taylor_is_the_product_of_weights_and_gradients() -> None:
    gradient = torch.tensor([[1.0, 1.0], [0.0, 2.0], [5.0, -1.0], [1.0, 0.0]])
    assert _scores("taylor", _group(_weights(MADE, 0, gradient=gradient))).tolist() == [0, 4, 4, 3]


def test_only_what_reads_gradients_asks_for_them() -> None:
    needing = [name for name in built_in(CRITERIA) if getattr(find(CRITERIA, name), "needs_gradients", False)]
    assert needing == ["taylor"]


def test_chance_comes_from_the_generator() -> None:
    group = _group(_weights(MADE, 0))
    assert torch.equal(_scores("random", group, 1), _scores("random", group, 1))
    assert not torch.equal(_scores("random", group, 1), _scores("random", group, 2))


def test_a_unit_may_lie_in_several_places() -> None:
    """Two units of two heads' channels each, and one index that belongs to another group."""
    weights = replace(_weights(torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0]]), 0), units=2)
    weights = replace(weights, places=(torch.tensor([0, 0, 1, 1, 2]),))
    assert weights.sum_by_unit(weights.values).tolist() == [3, 12]
    twice = replace(weights, places=(*weights.places, torch.tensor([1, 2, 2, 2, 0])))
    assert twice.sum_by_unit(weights.values).tolist() == [19, 13]


@pytest.mark.parametrize("name", built_in(CRITERIA))
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([1e-30, 1e-3, 1.0, 1e3]))
def test_every_unit_has_a_finite_importance_of_no_less_than_zero(name: str, seed: int, units: int, unit: float) -> None:
    drawn = torch.Generator().manual_seed(seed)
    values = torch.randn(units, 3, generator=drawn) * unit
    values[seed % units] = 0
    scores = _scores(name, _group(_weights(values, 0, gradient=torch.randn(units, 3, generator=drawn))))
    assert scores.shape == (units,)
    assert torch.isfinite(scores).all()
    assert (scores >= 0).all()


@pytest.mark.parametrize("name", sorted({*built_in(CRITERIA)} - {"random"}))
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_units_have_their_importance_wherever_they_stand(name: str, seed: int, units: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    values, gradient = torch.randn(2, units, 3, generator=drawn)
    order = torch.randperm(units, generator=drawn)
    before = _scores(name, _group(_weights(values, 0, gradient=gradient)))
    after = _scores(name, _group(_weights(values[order], 0, gradient=gradient[order])))
    torch.testing.assert_close(after, before[order])


@pytest.mark.parametrize("name", built_in(CRITERIA))
def test_a_group_without_weights_that_count_has_no_order(name: str) -> None:
    scores = _scores(name, _group(_weights(torch.ones(4), 0, None)))
    assert scores.tolist() == [1, 1, 1, 1] or name == "random"


def test_the_recipe_names_the_criteria() -> None:
    field = Pruning.model_json_schema()["properties"]["importance"]
    assert field["examples"] == list(built_in(CRITERIA))
