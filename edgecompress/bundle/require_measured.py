"""Validation that lets nothing pass that is only recorded: what is, and how to have it measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from edgecompress.bundle.measured_rows import RECORDED, MeasuredRow
from edgecompress.progress import Progress
from edgecompress.validation.budgets import MEASURES, OF_LATENCY, Verdict
from edgecompress.validation.elsewhere.results import LIMITS

OF_DATA = ("accuracy_drop", "metric_drop", "metric_kept", "metric")
"""Measures of the metric, which only data tell anew."""
OF_AN_NPU = ("cpu_nodes", "npu_share")
"""Measures of what a runtime does on another unit than the CPU."""
GIVE_DATA = "give labelled --evaluation data"
BOTH = f"{GIVE_DATA} and the float model (--original)"
FLOAT = "give the float model (--original)"
ON_DEVICE = "name the device (--device ssh://HOST or adb://SERIAL)"
UNMEASURED = {
    "accuracy_drop": BOTH,
    "metric_drop": BOTH,
    "metric_kept": BOTH,
    "metric": GIVE_DATA,
    "sqnr_db": BOTH,
    "speedup": FLOAT,
    "compression_ratio": FLOAT,
    **dict.fromkeys(("latency_ms", "latency_p95_ms", "latency_p99_ms"), ON_DEVICE),
    "cpu_agreement": "name a CPU with --cpu",
    "browser_agreement": "run it there with --on browser",
    "runtime_agreement": "name a runtime with --on",
    "cpu_nodes": "name an NPU with --on",
    "npu_share": "name an NPU with --on",
}
"""How to have what a budget bounds measured."""


def only_recorded(rows: Iterable[MeasuredRow], sources: Mapping[str, str], *, measured: bool) -> frozenset[str]:
    """The measures, by their names in ``MEASURES``, that nothing measured now.

    Args:
        rows: what is known.
        sources: where the outcomes at other places are from, by their keys in a manifest.
        measured: whether the metric was measured.
    """
    found = {row.measure for row in rows if row.source.startswith(RECORDED)}
    for group in (group for group, source in sources.items() if source == RECORDED):
        found |= {MEASURES[LIMITS[group]][0], *(OF_AN_NPU if group == "runtimes" else ())}
    return frozenset(found | ({*OF_DATA} if not measured else set()))


def tell_unmeasured(verdict: Verdict, progress: Progress, without: Collection[str] = ()) -> None:
    """A line for each budget that nothing measured now, without those that are told otherwise."""
    for check in verdict.checks:
        if check.outcome in ("not measured", "only recorded") and check.budget not in without:
            fix = UNMEASURED.get(MEASURES[check.budget][0], "compress again")
            if check.outcome == "only recorded" and MEASURES[check.budget][0] in OF_DATA:
                fix = GIVE_DATA
            if check.outcome == "not measured" and check.budget in OF_LATENCY:
                fix = " and ".join(dict.fromkeys((ON_DEVICE, fix)))
            progress.warn(f"{check.budget!r} is {check.outcome}; {fix}")
