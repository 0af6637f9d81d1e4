"""Evidence about the artifact that ships: parity, accuracy, latency, size, and the verdict on them."""

from edgecompress.validation.budgets import Check, Verdict, judge, measures
from edgecompress.validation.evidence import Evidence, gather
from edgecompress.validation.latency import Comparison, Latency, compare_latency

__all__ = ["Check", "Comparison", "Evidence", "Latency", "Verdict", "compare_latency", "gather", "judge", "measures"]
