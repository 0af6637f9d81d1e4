"""Measures of trials that tests make up."""

from __future__ import annotations

from typing import Any

from edgecompress.comparison.search.trial import Measures


def measures(drop: float = 0.0, speedup: float = 2.0, size_bytes: int = 1000, **other: Any) -> Measures:
    """Of a trial whose speedup is known to a hundredth."""
    given: dict[str, Any] = {
        "title": "INT8",
        "metric_name": "top1",
        "metric_unit": "%",
        "higher_is_better": True,
        "metric": 80.0 - drop,
        "metric_drop": drop,
        "metric_drop_interval_95": (drop - 0.5, drop + 0.5),
        "metric_verdict": "no difference",
        "metric_change": "-0.50 to +0.50",
        "original_metric": 80.0,
        "original_ms": 1.0,
        "speedup": speedup,
        "speedup_interval_95": (speedup - 0.01, speedup + 0.01),
        "size_bytes": size_bytes,
        "original_bytes": 4000,
        "outcome": "pass",
        "missed": (),
    }
    return Measures(**{**given, **other})
