"""Goals: the widest widths within a budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.pruning.channels.goals import meet
from edgecompress.pruning.channels.widths import Widths


def _widths(amount: float) -> Widths:
    return {"layer": max(round(100 * (1 - amount)), 5)}


@given(st.floats(0, 0.9))
def test_the_budget_holds_and_one_unit_more_would_break_it(share: float) -> None:
    kept = meet("macs", share, _widths, lambda widths: float(widths["layer"] ** 2))["layer"]
    assert kept**2 <= (1 - share) * 100**2 + 1e-6
    assert (kept + 1) ** 2 > (1 - share) * 100**2 or kept == 100


def test_a_goal_that_cannot_be_met_says_what_can() -> None:
    with pytest.raises(RecipeError, match=r"the goal of 99% fewer macs cannot be met: at most 95\.0% can go"):
        meet("macs", 0.99, _widths, lambda widths: float(widths["layer"]))
