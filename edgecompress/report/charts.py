"""Charts of the report as SVG: each has its figures in words for those who cannot see it, and colours from the page.

Shapes have the classes ``before``, ``after``, ``integer``, ``conversion``, ``float``, ``worst`` and ``range``, which
the page's style sheet paints for light and for dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from edgecompress.errors import plural
from edgecompress.units import kilobytes, milliseconds

WIDTH = 720
BINS = 48
MOST_MEDIANS = 3.0
"""A few calls that the machine disturbed would press all others into one corner: the axis ends at so many medians."""
SHOWN_LAYERS = 14
MOST_DB = 60.0
"""Agreement from which on a bar is as high as it gets."""


def distribution(before_ms: Sequence[float], after_ms: Sequence[float]) -> Markup:
    """Two histograms of latency over one axis, in milliseconds."""
    low, high = min(*before_ms, *after_ms), max(*before_ms, *after_ms)
    most = MOST_MEDIANS * max(float(np.median(times)) for times in (before_ms, after_ms))
    edges = np.linspace(low, max(min(high, most), low * 1.01), BINS + 1)
    height, base = 150, 130
    shapes = []
    for kind, times in (("before", before_ms), ("after", after_ms)):
        counts, _ = np.histogram(np.minimum(times, edges[-1]), edges)
        step = WIDTH / BINS
        for place, count in enumerate(counts):
            if count:
                tall = base * count / counts.max()
                title = f"{kind}: {count} calls of {milliseconds(edges[place])} to {milliseconds(edges[place + 1])}"
                shapes.append(_rect(place * step, base - tall, step - 1, tall, kind, title))
    middles = " and ".join(milliseconds(float(np.median(times))) for times in (before_ms, after_ms))
    return _figure(
        height,
        f"Latency of single calls, before and after; medians {middles}",
        [*shapes, *_axis(edges, height, " and more" if high > edges[-1] else "")],
    )


def sizes_by_layer(sizes: Sequence[Mapping[str, Any]]) -> Markup:
    """Pairs of bars, bytes before and after, for the largest layers; the others are one pair."""
    ranked = sorted(sizes, key=lambda layer: (-layer["original_bytes"], -layer["compressed_bytes"]))
    rows = [(layer["layer"], layer["original_bytes"], layer["compressed_bytes"]) for layer in ranked[:SHOWN_LAYERS]]
    if rest := ranked[SHOWN_LAYERS:]:
        sums = (sum(layer[key] for layer in rest) for key in ("original_bytes", "compressed_bytes"))
        rows.append((f"{len(rest)} others", *sums))
    longest = max((max(before, after) for _, before, after in rows), default=0) or 1
    left, right, pitch = 190, 150, 22
    scale = (WIDTH - left - right) / longest
    shapes: list[Markup] = []
    for place, (name, before, after) in enumerate(rows):
        top = place * pitch
        told = f"{kilobytes(before)} -> {kilobytes(after)}"
        shapes.append(_text(left - 8, top + 14, _shortened(name), "end"))
        shapes.append(_rect(left, top + 3, before * scale, 7, "before", f"{name} before: {kilobytes(before)}"))
        shapes.append(_rect(left, top + 11, after * scale, 7, "after", f"{name} after: {kilobytes(after)}"))
        shapes.append(_text(left + max(before, after) * scale + 6, top + 14, told))
    words = "; ".join(f"{name} {kilobytes(before)} to {kilobytes(after)}" for name, before, after in rows)
    return _figure(len(rows) * pitch + 4, f"Size by layer, before and after: {words}", shapes)


def damage_by_layer(damages: Sequence[Mapping[str, Any]], worst: Iterable[str]) -> Markup:
    """A bar for each layer in the order of the graph: the agreement of its output, in dB; low bars are bad."""
    height, base = 170, 150
    marked, step = set(worst), WIDTH / max(len(damages), 1)
    shapes = []
    for place, damage in enumerate(damages):
        tall = max(base * min(damage["sqnr_db"], MOST_DB) / MOST_DB, 1)
        kind = "worst" if damage["layer"] in marked else "after"
        title = f"{damage['layer']}: {damage['sqnr_db']:.1f} dB"
        shapes.append(_rect(place * step, base - tall, min(step - 1, 40), tall, kind, title))
    low = min(damages, key=lambda damage: damage["sqnr_db"])
    words = f"Agreement of {plural(len(damages), 'layer')}, worst {low['layer']} with {low['sqnr_db']:.1f} dB"
    ends = [_text(0, height - 4, "first layer"), _text(WIDTH, height - 4, "last layer", "end")]
    return _figure(height, words, [*shapes, *ends])


def values_and_range(shown: Mapping[str, Any]) -> Markup:
    """Values of an shown, counted on a logarithmic scale, over the range that its integers hold."""
    low, high = min(shown["least"], shown["low"]), max(shown["greatest"], shown["high"])
    width, height, base = WIDTH / 2 - 10, 130, 110
    scale = width / ((high - low) or 1)
    counts = np.log1p(np.array(shown["counts"], float))
    step = (shown["greatest"] - shown["least"]) / len(counts)
    span = _rect((shown["low"] - low) * scale, 0, (shown["high"] - shown["low"]) * scale, base, "range", "chosen range")
    bars = [
        _rect(
            (shown["least"] + place * step - low) * scale, base - tall, max(step * scale - 0.5, 0.5), tall, "after", ""
        )
        for place, tall in enumerate(counts / (counts.max() or 1) * (base - 6))
        if tall
    ]
    words = (
        f"Values of {shown['value']} from {shown['least']:.3g} to {shown['greatest']:.3g}; chosen range"
        f" {shown['low']:.3g} to {shown['high']:.3g}, {100 * shown['outside']:.3g} % outside"
    )
    ends = [_text(0, height - 4, f"{low:.3g}"), _text(width, height - 4, f"{high:.3g}", "end")]
    return _figure(height, words, [span, *bars, *ends], width)


def shares(kernels: Sequence[Mapping[str, Any]]) -> Markup:
    """One bar of the latency: the share of integer, conversion and float kernels."""
    sums = {kind: sum(kernel["share"] for kernel in kernels if kernel["numbers"] == kind) for kind in NUMBERS}
    shapes, left = [], 0.0
    for kind, share in sums.items():
        shapes.append(_rect(left, 0, share * WIDTH, 22, kind, f"{kind}: {100 * share:.1f} %"))
        left += share * WIDTH
    words = ", ".join(f"{kind} {100 * share:.1f} %" for kind, share in sums.items())
    return _figure(24, f"Share of the latency: {words}", shapes)


NUMBERS = ("integer", "conversion", "float", "other")


def _figure(height: float, words: str, shapes: Iterable[Markup], width: float = WIDTH) -> Markup:
    body = Markup("").join(shapes)
    return Markup('<svg role="img" viewBox="0 0 {} {}" aria-label="{}"><title>{}</title>{}</svg>').format(
        _number(width), _number(height), words, words, body
    )


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str) -> Markup:
    shape = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>')
    told = Markup("<title>{}</title>").format(title) if title else Markup("")
    return shape.format(kind, *(_number(number) for number in (x, y, max(width, 0), height)), told)


def _text(x: float, y: float, words: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_number(x), _number(y), anchor, words)


def _axis(edges: NDArray[np.float64], height: float, beyond: str) -> Iterator[Markup]:
    """The ends and the middle of an axis of milliseconds."""
    low, high = float(edges[0]), float(edges[-1])
    for at, anchor, words in ((0.0, "start", ""), (0.5, "middle", ""), (1.0, "end", beyond)):
        yield _text(WIDTH * at, height - 4, milliseconds(low + (high - low) * at) + words, anchor)


def _number(value: float) -> str:
    """A length with a tenth of a pixel, which is as much as anyone sees."""
    return f"{value:.1f}".removesuffix(".0")


def _shortened(name: str, most: int = 26) -> str:
    """The end of a long name: layers differ there."""
    return name if len(name) <= most else f"…{name[1 - most :]}"
