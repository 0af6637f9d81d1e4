"""The page of a report: self-contained, no script, no request; light and dark by the reader's setting."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from edgecompress.bundle.manifest import metric_entry
from edgecompress.errors import plural
from edgecompress.report.boxes import boxes_of_answer
from edgecompress.report.charts import damage_by_layer, distribution, shares, sizes_by_layer, values_and_range
from edgecompress.report.masks import mask_colour
from edgecompress.report.network import lines_of, rows_of
from edgecompress.report.segments import line_of_segments
from edgecompress.timing.ratios import Ratio, ratio_of
from edgecompress.units import (
    budget,
    decibels,
    judged_in_words,
    kilobytes,
    limit,
    metric,
    metric_change,
    metric_title,
    milliseconds,
    outcome,
    percent,
    share,
    times,
)
from edgecompress.validation.budgets import MEASURES, OF_LATENCY
from edgecompress.validation.drops import Drop
from edgecompress.validation.elsewhere.measured import deciding


def render(report: Mapping[str, Any]) -> str:
    """The page of a report as ``report.json`` holds it."""
    measured = metric_entry(report["metrics"])
    figures = (budget, decibels, kilobytes, limit, metric, metric_change, metric_title, milliseconds, percent, times)
    words = (judged_in_words, outcome, plural, share)
    drawn = (
        boxes_of_answer,
        damage_by_layer,
        distribution,
        line_of_segments,
        lines_of,
        mask_colour,
        rows_of,
        shares,
        sizes_by_layer,
        values_and_range,
    )
    named = {function.__name__: function for function in (*figures, *words, *drawn)}
    return template("report.html").render(
        report=report,
        measured=measured,
        median=statistics.median,
        drop=Drop.recorded(measured),
        deciding_places=_deciding_places(report),
        Ratio=Ratio,
        factor=_factor,
        stage_change=_stage_change,
        class_name=functools.partial(class_name, report["recipe"].get("data", {}).get("classes", [])),
        **named,
    )


def _deciding_places(report: Mapping[str, Any]) -> list[str]:
    """The devices whose times decide budgets, each once."""
    figures = deciding(report.get("runtimes", {}))
    measures = [MEASURES[check["budget"]][0] for check in report["verdict"]["budgets"] if check["budget"] in OF_LATENCY]
    return list(dict.fromkeys(figures[measure].place for measure in measures if measure in figures))


def template(name: str) -> Template:
    """A page of this package, which escapes what it is given and refuses what it is not."""
    environment = Environment(
        loader=PackageLoader("edgecompress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def class_name(names: Sequence[str], label: int | str) -> str:
    """What a class is called, where its name is known.

    >>> class_name(["cat", "dog"], 1), class_name(["cat", "dog"], "0"), class_name([], 7), class_name(["cat"], "dog")
    ('dog', 'cat', '7', 'dog')
    """
    written = str(label)
    known = written.isdecimal() and int(written) < len(names)
    return names[int(written)] if known else written


def _factor(before_ms: Sequence[float], after_ms: Sequence[float]) -> str:
    """What a stage gained in time over the one before it, from runs that took turns, where that can be told."""
    return ratio_of(np.array(before_ms), np.array(after_ms)).factor


def _stage_change(former: float, own: float, stage: Mapping[str, Any], measured: Mapping[str, Any]) -> str:
    """What a stage gained of the metric over the one before it, where that can be told; points without their unit."""
    entry = {**measured, "original": former, "compressed": own}
    drop = Drop.recorded({**entry, "drop_interval_95": stage.get("metric_drop_interval_95")})
    assert drop is not None
    return drop.change.removesuffix(" points")
