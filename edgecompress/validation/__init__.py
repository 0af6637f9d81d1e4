"""Evidence about the artifact that ships: parity, accuracy, latency, size, other places, and the verdict on them."""

from edgecompress.timing.latency import Latency, LatencyComparison
from edgecompress.validation.budgets import Check, Verdict, intervals, judge, measures, metric_units
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.places import NamedPlace, asked_places, find_places, places_of
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.evidence import Evidence, gather

__all__ = [
    "Check",
    "Elsewhere",
    "Evidence",
    "Latency",
    "LatencyComparison",
    "NamedPlace",
    "PlaceResult",
    "Verdict",
    "asked_places",
    "compare_places",
    "find_places",
    "gather",
    "intervals",
    "judge",
    "measures",
    "metric_units",
    "places_of",
]
