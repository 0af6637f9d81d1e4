"""A bundle is validated by its folder or as it was returned, with data of every form."""

from __future__ import annotations

from pathlib import Path

import edgecompress
from tests.networks import images


def test_a_bundle_and_its_folder_are_validated_alike(small_bundle: Path) -> None:
    bundle = edgecompress.read_bundle(small_bundle)
    for given in (bundle, small_bundle, str(small_bundle)):
        found = edgecompress.validate(given, evaluation=images(seed=2), max_size_mb=2.0)
        values = {row.measure: row.value for row in found.rows}
        assert values["size_mb"] == bundle.artifact.stat().st_size / 1e6
        assert values["accuracy_drop"] == bundle.manifest.metrics["accuracy"]["drop"]


def test_every_limit_that_is_given_is_judged_and_one_that_is_missed_is_no_error(small_bundle: Path) -> None:
    found = edgecompress.validate(
        small_bundle, max_accuracy_drop=100.0, min_speedup=1e-3, max_latency_ms=1e6, max_size_mb=1e-6
    )
    judged = {check.budget: (check.limit, check.outcome) for check in found.verdict.checks}
    given = {
        "max_accuracy_drop": (100.0, "pass"),
        "min_speedup": (1e-3, "pass"),
        "max_latency_ms": (1e6, "pass"),
        "max_size_mb": (1e-6, "fail"),
    }
    assert {name: judged.get(name) for name in given} == given
    assert not found.passed
