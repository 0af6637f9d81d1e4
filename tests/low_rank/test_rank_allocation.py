"""Sharing against every choice that there is."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from edgecompress.low_rank.rank_allocation import Point, allocate, hull

POINTS = st.builds(lambda loss, cost: Point(loss=float(loss), cost=float(cost)), st.integers(1, 30), st.integers(0, 19))
CURVES = st.lists(
    st.lists(POINTS, max_size=4).map(lambda points: [Point(loss=0.0, cost=20.0), *points]), min_size=1, max_size=4
)


@given(CURVES, st.integers(0, 80))
def test_no_choice_that_costs_as_little_loses_less(curves: list[list[Point]], budget: int) -> None:
    chosen = [curve[index] for curve, index in zip(curves, allocate(curves, budget), strict=True)]
    loss, cost = sum(each.loss for each in chosen), sum(each.cost for each in chosen)
    for other in product(*curves):
        if sum(each.cost for each in other) <= cost:
            assert sum(each.loss for each in other) >= loss - 1e-9


@given(CURVES, st.integers(0, 80))
def test_the_budget_is_met_where_it_can_be(curves: list[list[Point]], budget: int) -> None:
    cost = sum(curve[index].cost for curve, index in zip(curves, allocate(curves, budget), strict=True))
    least = sum(min(point.cost for point in curve) for curve in curves)
    assert cost <= max(budget, least)


def test_what_has_to_go_goes_where_it_loses_least() -> None:
    dear = [Point(loss=0, cost=10), Point(loss=5, cost=5)]
    cheap = [Point(loss=0, cost=10), Point(loss=1, cost=5)]
    assert allocate([dear, cheap], 15) == [0, 1]
    assert allocate([dear, cheap], 20) == [0, 0]
    assert allocate([dear, cheap], 10) == [1, 1]


def test_the_hull_leaves_out_what_lies_above_it() -> None:
    curve = [Point(loss=0, cost=10), Point(loss=4, cost=8), Point(loss=5, cost=2), Point(loss=6, cost=2)]
    assert hull(curve) == [0, 2]
