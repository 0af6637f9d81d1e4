"""The plot of a search as SVG: latency to the right, the metric's drop downwards, the area of a point is its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from edgecompress.comparison.search.result import SearchResult
from edgecompress.comparison.search.trial import Measures, SearchTrial
from edgecompress.units import kilobytes, metric, milliseconds

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 24, 40
LARGEST = 13.0
"""Radius of the point with the most bytes."""
LEAST = 3.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A straight line from values to pixels; all values alike lie in the middle."""

    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        """The pixel of a value; beyond the ends, the end.

        >>> Scale(low=1, high=3, first=0, last=100).at(2), Scale(low=1, high=1, first=0, last=100).at(1)
        (50.0, 50.0)
        """
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.first + min(max(share, 0), 1) * (self.last - self.first)


def plot(found: SearchResult) -> Markup:
    """All trials with a bundle and their numbers, each a link to its report; what is shown has its intervals."""
    measured, original_ms = found.measured, found.original_ms
    if original_ms is None:
        return Markup("")
    kept = [measured[number] for number in found.shown]
    drops = [0.0, *(each.metric_drop for each in measured.values())]
    drops += [end for each in kept for end in each.metric_drop_interval_95 or ()]
    times = [original_ms, *(original_ms / each.speedup for each in measured.values())]
    times += [original_ms / end for each in kept for end in each.speedup_interval_95]
    across = Scale(low=min(times), high=max(times), first=LEFT, last=WIDTH - RIGHT)
    down = Scale(low=min(drops), high=max(drops), first=TOP, last=HEIGHT - BOTTOM)
    first = next(iter(measured.values()))
    shapes = [*_axes(across, down, first), _circle(across.at(original_ms), down.at(0), LARGEST, "before", "original")]
    order = [trial for trial in found.trials if trial.number not in found.shown]
    order += [found.trial(number) for number in found.shown]  # on top
    points = [_point_of(found, trial, across, down) for trial in order if trial.measures is not None]
    shapes += [point.drawn for point in points] + [point.label for point in points]  # no line goes through a label
    words = f"Metric over latency of {len(measured)} trials; {len(found.front)} on the front"
    return Markup('<svg role="img" viewBox="0 0 {} {}" aria-label="{}"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, words, words, Markup("").join(shapes)
    )


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A trial in the plot: a circle, with its intervals, and its number."""

    drawn: Markup
    label: Markup


def _point_of(found: SearchResult, trial: SearchTrial, across: Scale, down: Scale) -> _Point:
    measures, original_ms = trial.measures, found.original_ms
    assert measures is not None
    assert original_ms is not None
    x, y = across.at(original_ms / measures.speedup), down.at(measures.metric_drop)
    radius = max(LARGEST * (measures.size_bytes / measures.original_bytes) ** 0.5, LEAST)
    told = ", ".join(
        [
            f"trial {trial.number}: {measures.title}",
            metric(measures.metric, measures.metric_unit),
            milliseconds(original_ms / measures.speedup),
            kilobytes(measures.size_bytes),
        ]
    )
    shown = trial.number in found.shown
    kind = "chosen" if trial.number == found.chosen else "after" if shown else "beaten"
    body = [_circle(x, y, radius, kind, told)]
    if shown:
        body += _intervals(measures, original_ms, across, down, x, y)
    report, drawn = found.report(trial), Markup("").join(body)
    linked = drawn if report is None else Markup('<a href="{}">{}</a>').format(report, drawn)
    return _Point(drawn=linked, label=_label(x, y, radius, str(trial.number)))


def _label(x: float, y: float, radius: float, number: str) -> Markup:
    """To the right of a point and above its middle, where neither of its intervals is; to the left at the edge."""
    far, above = 0.7 * radius + 4, y - 0.7 * radius - 4
    return _text(x - far, above, number, "end") if x + far > WIDTH - RIGHT else _text(x + far, above, number, "start")


def _intervals(
    measures: Measures, original_ms: float, across: Scale, down: Scale, x: float, y: float
) -> Iterator[Markup]:
    """Lines between the ends at 95 %, as far as they are in the plot."""
    low, high = measures.speedup_interval_95
    line = Markup('<path class="interval" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>')
    yield line.format(across.at(original_ms / high), y, across.at(original_ms / low), y)
    if measures.metric_drop_interval_95 is not None:
        least, most = measures.metric_drop_interval_95
        yield line.format(x, down.at(least), x, down.at(most))


def _axes(across: Scale, down: Scale, first: Measures) -> Iterator[Markup]:
    """The ends of both axes, in their units."""
    sign = -1 if first.higher_is_better else 1
    for value in (down.low, down.high):
        shown = metric(first.original_metric + sign * value, first.metric_unit)
        yield _text(LEFT - LARGEST - 6, down.at(value) + 4, shown, "end")
    for value, anchor in ((across.low, "start"), (across.high, "end")):
        yield _text(across.at(value), HEIGHT - 8, milliseconds(value), anchor)


def _circle(x: float, y: float, radius: float, kind: str, title: str) -> Markup:
    shape = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>')
    return shape.format(kind, x, y, radius, title)


def _text(x: float, y: float, words: str, anchor: str = "middle") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
