"""Values that mean nothing are refused in one line."""

from __future__ import annotations

import math
from typing import Any

import pytest

from edgecompress import RecipeError
from edgecompress.low_rank.request import LowRankRequest, check_request


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rank_ratio": 0.0}, r"^rank_ratio is 0\.0; give a share above 0 and up to 1$"),
        ({"rank_ratio": 1.5}, "rank_ratio is 1.5"),
        ({"rank_ratio": math.nan}, "rank_ratio is nan"),
        ({"rank_ratio": True}, "rank_ratio is True"),
        ({"rank_ratio": "half"}, "rank_ratio is 'half'"),
        ({"energy": 1.01}, "energy is 1.01"),
        ({"goal": "latncy"}, "goal is 'latncy'; give one of .*did you mean 'latency'"),
        ({"amount": 1.0}, "amount is 1.0; give a share of at least 0 and below 1"),
        ({"multiple": 0}, "multiple is 0; give a whole number of at least 1"),
        ({"multiple": 2.5}, "multiple is 2.5"),
        ({"protect": "head"}, "protect is 'head'; give a list of module names"),
    ],
)
def test_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_request(LowRankRequest(**values))


@pytest.mark.parametrize("values", [{}, {"rank_ratio": 1}, {"goal": "macs", "amount": 0}, {"energy": 0.9}])
def test_what_is_right_passes(values: dict[str, Any]) -> None:
    check_request(LowRankRequest(**values))
