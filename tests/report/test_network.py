"""The drawing of the network: a row for each operator, and lines that meet what they lead to."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.report.network import LANES, ROW, lanes, lines_of, rows_of


def _node(*reads: int, share: float | None = 0.1, operator: str = "QLinearConv") -> dict[str, Any]:
    return {
        "layer": "conv<1>",
        "operator": operator,
        "numbers": "integer",
        "shape": [1, 8, 4, 4],
        "share": share,
        "reads": list(reads),
    }


def test_a_row_says_what_it_is_in_few_words() -> None:
    first, second, third = rows_of([_node(share=0.2), _node(0, share=0.1), _node(1, share=None, operator="Reshape")])
    assert (first["operator"], first["shape"], first["bar"]) == ("Conv", "1x8x4x4", 100)
    assert second["bar"] == pytest.approx(50)
    assert (third["operator"], third["bar"], third["share"]) == ("Reshape", 0, None)


def test_lines_end_where_operators_are() -> None:
    drawn = str(lines_of([_node(), _node(0), _node(1), _node(0, 2)]))
    middles = {ROW * place + ROW // 2 for place in range(4)}
    assert drawn.count("<circle") == 4
    assert drawn.count("<path") == 4
    starts = re.findall(r'd="M\d+ (\d+)', drawn)
    assert {int(start) for start in starts} <= middles
    assert f'height="{4 * ROW}"' in drawn
    assert len(re.findall(r"Q", drawn)) == 2  # one line goes around: out and back


def test_a_network_of_one_operator_has_no_lines() -> None:
    assert "<path" not in str(lines_of([_node()]))
    assert "<path" not in str(lines_of([]))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(2, 8)), max_size=25))
def test_jumps_of_one_lane_do_not_overlap_where_there_are_lanes_enough(drawn: list[tuple[int, int]]) -> None:
    jumps = sorted((start, start + length) for start, length in drawn)
    found = lanes(jumps)
    assert all(0 <= lane < LANES for lane in found)
    open_at_once = max((sum(a <= start < b for a, b in jumps) for start, _ in jumps), default=0)
    if open_at_once <= LANES:
        for lane in set(found):
            own = [jump for jump, at in zip(jumps, found, strict=True) if at == lane]
            assert all(first[1] <= second[0] for first, second in pairwise(own))
