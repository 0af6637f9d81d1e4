"""Amounts of pruning step by step, in closed form."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.training.schedule import SCHEDULES, cubic, linear, one_shot

AMOUNTS = st.floats(0, 0.99)
STEPS = st.integers(1, 50)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(amount=AMOUNTS, steps=STEPS)
def test_every_schedule_rises_to_the_amount(name: str, amount: float, steps: int) -> None:
    amounts = SCHEDULES[name](amount, steps)
    assert len(amounts) == steps
    assert amounts[-1] == amount
    assert list(amounts) == sorted(amounts)
    assert all(0 <= each <= amount for each in amounts)


def test_four_steps_by_hand() -> None:
    assert one_shot(0.8, 4) == (0.8, 0.8, 0.8, 0.8)
    assert linear(0.8, 4) == pytest.approx((0.2, 0.4, 0.6, 0.8))
    assert cubic(0.8, 4) == pytest.approx((0.8 * 37 / 64, 0.8 * 56 / 64, 0.8 * 63 / 64, 0.8))


@given(amount=st.floats(0.01, 0.99), steps=st.integers(2, 50))
def test_cubic_prunes_most_at_first(amount: float, steps: int) -> None:
    amounts = (0.0, *cubic(amount, steps))
    shares = [late - early for early, late in pairwise(amounts)]
    assert shares == sorted(shares, reverse=True)
    assert amounts[1] > linear(amount, steps)[0]


@pytest.mark.parametrize("amount", [-0.1, 1.0, float("nan")])
def test_an_amount_that_cannot_be_is_refused(amount: float) -> None:
    with pytest.raises(RecipeError, match="give 0 or more, and less than 1"):
        cubic(amount, 3)


def test_no_steps_are_refused() -> None:
    with pytest.raises(RecipeError, match="a schedule of 0 steps prunes nothing"):
        linear(0.5, 0)
