"""Widths: multiples, shares, and the choice of units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.pruning.channels.widths import choose, global_widths, local_widths, step_of
from edgecompress.pruning.structure.groups import Group


def _group(name: str, units: range, width: int = 1) -> Group:
    return Group(name=name, units=tuple(units), members=(), width=width)


@given(st.integers(2, 300), st.sampled_from([1, 4, 8, 16]), st.integers(1, 64), st.floats(0, 0.99))
def test_what_is_kept_is_a_multiple_of_the_step_and_never_nothing(
    count: int, multiple: int, width: int, amount: float
) -> None:
    group = _group("layer", range(count), width)
    kept = local_widths([group], amount, multiple)["layer"]
    step = step_of(group, multiple)
    assert 1 <= kept <= count
    assert kept % step == 0 or kept == count
    assert kept <= max(count * (1 - amount) + 1e-6, step)
    assert kept > count * (1 - amount) - step
    assert step * width % multiple == 0


@given(st.integers(2, 300), st.sampled_from([1, 4, 8, 16]))
def test_an_amount_of_nothing_keeps_all(count: int, multiple: int) -> None:
    assert local_widths([_group("layer", range(count))], 0.0, multiple) == {"layer": count}


@pytest.mark.parametrize(("amount", "kept"), [(0.0, 64), (0.5, 32), (0.6, 16), (0.7, 16), (0.99, 16)])
def test_a_share_in_steps_of_sixteen(amount: float, kept: int) -> None:
    assert local_widths([_group("layer", range(64))], amount, 16) == {"layer": kept}


def test_a_global_ranking_takes_from_the_group_that_matters_least_and_leaves_it_a_tenth() -> None:
    poor, rich = _group("poor", range(20)), _group("rich", range(20, 40))
    scores = {unit: float(unit) for unit in range(40)}
    assert global_widths([poor, rich], scores, 0.25, 1) == {"poor": 10, "rich": 20}
    assert global_widths([poor, rich], scores, 0.5, 1) == {"poor": 2, "rich": 20}


def test_the_least_important_units_go_and_ties_go_in_order() -> None:
    group = _group("layer", range(1, 6))
    assert choose([group], {1: 2.0, 2: 1.0, 3: 1.0, 4: 3.0, 5: 1.0}, {"layer": 3}) == [2, 3]
