"""The network in the report: a row for each operator, and at its side the lines of what reads what, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

ROW = 24
"""Pixels of a row, here and in the style sheet."""
LANE, LANES = 9, 6
"""Pixels between lines at the side, and how many stand next to each other before they share one."""
DOT, BEND = 3, 4
"""Radii of an operator's dot, and of a line's corners."""
PREFIX = "QLinear"
"""What ONNX Runtime calls integer operators by, which their colour says."""


def rows_of(network: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The operators with a shorter name, their shape in words, and their time in percent of the longest one's."""
    longest = max((node["share"] or 0.0 for node in network), default=0.0) or 1.0
    return [
        {
            **node,
            "operator": str(node["operator"]).removeprefix(PREFIX),
            "shape": "x".join(map(str, node["shape"])),
            "bar": 100 * (node["share"] or 0.0) / longest,
        }
        for node in network
    ]


def lines_of(network: Sequence[Mapping[str, Any]]) -> Markup:
    """The lines from each operator to those that read it: straight to the next one, around others in a lane."""
    edges = sorted((source, place) for place, node in enumerate(network) for source in node["reads"])
    jumps = [(source, place) for source, place in edges if place - source > 1]
    taken = lanes(jumps)
    height, width = ROW * len(network), LANE * (max(taken, default=-1) + 2)
    paths = [_straight(source, place, width) for source, place in edges if place - source == 1]
    paths += [_around(*jump, width, lane) for jump, lane in zip(jumps, taken, strict=True)]
    dots = [_dot(place, str(node["numbers"]), width) for place, node in enumerate(network)]
    size = Markup('width="{0}" height="{1}" viewBox="0 0 {0} {1}"').format(width, height)
    figure = Markup('<svg class="lines" {} role="img" aria-label="What each operator reads">{}</svg>')
    return figure.format(size, Markup("").join([*paths, *dots]))


def lanes(jumps: Sequence[tuple[int, int]]) -> list[int]:
    """A lane for each jump from a row to a later one, so that those of one lane do not overlap where there are enough.

    >>> lanes([(0, 3), (1, 2), (3, 5)])
    [0, 1, 0]
    """
    ends = [0] * LANES
    found = []
    for start, end in jumps:
        lane = next((lane for lane in range(LANES) if ends[lane] <= start), LANES - 1)
        ends[lane] = max(ends[lane], end)
        found.append(lane)
    return found


def _straight(source: int, place: int, width: int) -> Markup:
    return _path(f"M{width - DOT} {_middle(source)}V{_middle(place)}")


def _around(source: int, place: int, width: int, lane: int) -> Markup:
    """A line that leaves to the left, passes the rows between, and comes back."""
    right, left, start, end = width - DOT, width - DOT - LANE * (lane + 1), _middle(source), _middle(place)
    out, back = f"H{left + BEND}Q{left} {start} {left} {start + BEND}", f"Q{left} {end} {left + BEND} {end}H{right}"
    return _path(f"M{right} {start}{out}V{end - BEND}{back}")


def _dot(place: int, numbers: str, width: int) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(numbers, width - DOT, _middle(place), DOT)


def _middle(place: int) -> int:
    return ROW * place + ROW // 2


def _path(shape: str) -> Markup:
    return Markup('<path d="{}"/>').format(shape)
