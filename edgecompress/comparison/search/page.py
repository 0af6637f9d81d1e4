"""The page of a search: the plot, and a table of the front; self-contained, no script, no request."""

from __future__ import annotations

from edgecompress.comparison.search.front import beaten_by
from edgecompress.comparison.search.plot import plot
from edgecompress.comparison.search.result import SearchResult
from edgecompress.errors import plural
from edgecompress.metrics.metric import DEFAULT
from edgecompress.recipe.arguments import assignments
from edgecompress.report.page import template
from edgecompress.units import kilobytes, metric, metric_title, milliseconds


def render_front(found: SearchResult) -> str:
    """The page of what a search found; its links lead to the reports in the same folder."""
    figures = (kilobytes, metric, milliseconds, plural, plot)
    named = next((each.metric_name for each in found.measured.values()), DEFAULT)
    beaten = beaten_by(found.measured, found.front)
    return template("front.html").render(
        found=found,
        title=metric_title(named).removeprefix("accuracy, "),
        shown=[found.trial(number) for number in found.shown],
        beaten=[(found.trial(number), by) for number, by in beaten.items()],
        written=lambda trial: assignments("settings", trial.settings),
        **{function.__name__: function for function in figures},
    )
