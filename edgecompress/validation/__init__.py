"""Evidence about the artifact that ships: parity, accuracy, latency, size, other CPUs, and the verdict on them."""

from edgecompress.timing.latency import Latency, LatencyComparison
from edgecompress.validation.budgets import Check, Verdict, intervals, judge, measures, metric_units
from edgecompress.validation.elsewhere.browser import (
    BrowserResult,
    browser_agreement,
    compare_browser,
    strict_in_browser,
)
from edgecompress.validation.elsewhere.emulation import (
    CpuResult,
    Machine,
    compare_cpus,
    cpu_agreement,
    find_machines,
    strict_where_emulated,
)
from edgecompress.validation.evidence import Evidence, gather

__all__ = [
    "BrowserResult",
    "Check",
    "CpuResult",
    "Evidence",
    "Latency",
    "LatencyComparison",
    "Machine",
    "Verdict",
    "browser_agreement",
    "compare_browser",
    "compare_cpus",
    "cpu_agreement",
    "find_machines",
    "gather",
    "intervals",
    "judge",
    "measures",
    "metric_units",
    "strict_in_browser",
    "strict_where_emulated",
]
