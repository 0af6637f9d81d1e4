"""Spending: each step where the gain costs least damage."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from edgecompress.pruning.channels.cost_terms import AxisExtent, Term, term
from edgecompress.pruning.channels.greedy_widths import importance_damage, spend
from edgecompress.pruning.structure.groups import Group

FIRST = Group(name="first", units=tuple(range(1, 9)), members=(), width=1)
SECOND = Group(name="second", units=tuple(range(9, 17)), members=(), width=1)


def _linear(group: str, cost: float) -> Term:
    extent = AxisExtent(fixed=0, per_unit={group: 1})
    return term([extent], lambda widths: cost * extent.at(widths))


def test_the_cheapest_damage_for_the_gain_comes_first() -> None:
    """Both groups lose alike with a unit, and the second one gains twice as much: it is spent first."""
    at = spend([FIRST, SECOND], lambda _, kept: float(8 - kept), 4, [_linear("first", 1.0), _linear("second", 2.0)])
    assert [at(0.0), at(0.5), at(0.99)] == [
        {"first": 8, "second": 8},
        {"first": 8, "second": 4},
        {"first": 4, "second": 4},
    ]


def test_widths_never_grow_with_the_amount() -> None:
    damage = importance_damage({unit: float(unit) for unit in range(1, 17)})
    at = spend([FIRST, SECOND], damage, 1, [_linear("first", 1.0), _linear("second", 1.0)])
    for wide, narrow in pairwise(at(amount / 40) for amount in range(40)):
        assert all(narrow[name] <= wide[name] for name in wide)


def test_damage_by_importance_is_the_logarithm_of_what_is_kept() -> None:
    damage = importance_damage({unit: float(unit) for unit in range(1, 17)})
    assert damage(FIRST, 8) == 0
    assert damage(FIRST, 2) == pytest.approx(math.log(36 / (8 + 7)))


def test_a_price_is_asked_anew_where_groups_share_a_cost() -> None:
    """Work is the product of the widths: once the first is halved, a unit of the second is worth half as much."""
    extents = [AxisExtent(fixed=0, per_unit={name: 1}) for name in ("first", "second")]
    product = term(extents, lambda widths: float(extents[0].at(widths) * extents[1].at(widths)))
    own = _linear("third", 5.0)
    third = Group(name="third", units=tuple(range(17, 25)), members=(), width=1)
    at = spend(
        [FIRST, SECOND, third], lambda group, kept: (8 - kept) * (0.5 if group is FIRST else 1.0), 4, [product, own]
    )
    assert at(0.26) == {"first": 4, "second": 8, "third": 8}  # worth 32 for 2
    assert at(0.51) == {"first": 4, "second": 8, "third": 4}  # 20 for 4 against 16 for 4
