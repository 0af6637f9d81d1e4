"""The line of segments of a network, unit by unit, as SVG: each change of the unit is a crossing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from edgecompress.errors import plural
from edgecompress.units import count

WIDTH, HEIGHT, GAP, LEAST = 720, 58, 14, 26
"""Of the line, of it with its words, between two segments, and of a segment at least."""
MOST = 24
"""Segments that are drawn; a network of more is in too many parts for any picture to help."""


def line_of_segments(segments: Sequence[Mapping[str, Any]]) -> Markup:
    """Boxes in a row, as wide as they have nodes; lines between them are the crossings."""
    shown = segments[:MOST]
    widths = _widths([segment["nodes"] for segment in shown])
    parts, left = [], 0.0
    for place, (segment, width) in enumerate(zip(shown, widths, strict=True)):
        if place:
            parts.append(Markup('<path d="M{:.1f} 18h{}"/>').format(left - GAP, GAP))
        parts.append(_box(segment, left, width))
        left += width + GAP
    told = _told(segments)
    figure = Markup('<svg class="segments" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return figure.format(WIDTH, HEIGHT, told, Markup("").join(parts)) + Markup('<p class="dim">{}</p>').format(told)


def _widths(nodes: Sequence[int]) -> list[float]:
    """Room for each segment: the least that it needs, and a share of the rest by its nodes."""
    room = WIDTH - GAP * (len(nodes) - 1)
    least = min(LEAST, room / len(nodes))
    return [least + (room - least * len(nodes)) * each / sum(nodes) for each in nodes]


def _box(segment: Mapping[str, Any], left: float, width: float) -> Markup:
    kind = "float" if segment["unit"] == "CPU" else "integer"
    macs = "" if segment["macs"] is None else f", {count(segment['macs'])} multiply-accumulates"
    title = f"{segment['unit']}: {plural(segment['nodes'], 'node')}{macs}, {segment['first']} to {segment['last']}"
    box = Markup('<rect class="{}" x="{:.1f}" y="6" width="{:.1f}" height="24" rx="3"><title>{}</title></rect>')
    words = Markup('<text x="{:.1f}" y="46" text-anchor="middle">{}</text>')
    label = f"{segment['unit']} {segment['nodes']}"
    return box.format(kind, left, width, title) + words.format(left + width / 2, label)


def _told(segments: Sequence[Mapping[str, Any]]) -> str:
    more = f"; the first {MOST} are drawn" if len(segments) > MOST else ""
    return f"{plural(len(segments), 'segment')}, {plural(len(segments) - 1, 'crossing')}{more}"
