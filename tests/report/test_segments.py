"""The line of segments: a box for each, within the line, and a crossing between two of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.report.segments import MOST, WIDTH, line_of_segments


def _segment(unit: str, nodes: int, macs: int | None = 1000) -> dict[str, Any]:
    return {"unit": unit, "nodes": nodes, "macs": macs, "first": "a<b", "last": "z"}


def _boxes(drawn: str) -> list[tuple[float, float]]:
    return [(float(left), float(width)) for left, width in re.findall(r'x="([\d.]+)" y="6" width="([\d.]+)"', drawn)]


def test_units_have_their_colours_words_and_crossings() -> None:
    drawn = str(line_of_segments([_segment("NPU", 30), _segment("CPU", 2, None), _segment("NPU", 1)]))
    assert re.findall(r'<rect class="(\w+)"', drawn) == ["integer", "float", "integer"]
    assert re.findall(r">(\w+ \d+)</text>", drawn) == ["NPU 30", "CPU 2", "NPU 1"]
    assert drawn.count("<path") == 2
    assert "NPU: 30 nodes, 1.0k multiply-accumulates, a&lt;b to z" in drawn
    assert "CPU: 2 nodes, a&lt;b to z" in drawn
    assert "3 segments, 2 crossings" in drawn


@pytest.mark.parametrize(
    ("count", "told"), [(1, "1 segment, 0 crossings"), (MOST + 5, f"; the first {MOST} are drawn")]
)
def test_too_many_are_counted_and_not_drawn(count: int, told: str) -> None:
    drawn = str(line_of_segments([_segment("NPU" if place % 2 else "CPU", 1) for place in range(count)]))
    assert told in drawn
    assert len(_boxes(drawn)) == min(count, MOST)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=MOST))
def test_boxes_stand_next_to_each_other_within_the_line(nodes: list[int]) -> None:
    boxes = _boxes(str(line_of_segments([_segment("NPU", count) for count in nodes])))
    ends = [left + width for left, width in boxes]
    assert all(width > 0 for _, width in boxes)
    assert all(end < left for end, (left, _) in zip(ends, boxes[1:], strict=False))
    assert ends[-1] == pytest.approx(WIDTH, abs=0.2)
