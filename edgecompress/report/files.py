"""``report.json`` says everything that the manifest says and how it came about; ``report.html`` shows it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from edgecompress.bundle.manifest import Manifest, canonical
from edgecompress.bundle.outcome import Outcome
from edgecompress.metrics.metric import DEFAULT
from edgecompress.report.answers import answers_entry
from edgecompress.report.page import render
from edgecompress.step import Plan
from edgecompress.validation.flips import Flips

REPORT = "report.json"


def report_files(outcome: Outcome, manifest: Manifest) -> dict[str, bytes]:
    """``report.json`` and ``report.html`` by name."""
    return _drawn(make_report(outcome, manifest))


def with_command(files: Mapping[str, bytes], command: str) -> dict[str, bytes]:
    """The files of a bundle, whose report says that another command makes it again."""
    return {**files, **_drawn({**json.loads(files[REPORT]), "command": command})}


def _drawn(report: Mapping[str, Any]) -> dict[str, bytes]:
    """The page is drawn from what a reader of the file finds, so that it can be drawn again."""
    document = canonical(report)
    return {REPORT: document, "report.html": render(json.loads(document)).encode()}


def make_report(outcome: Outcome, manifest: Manifest) -> dict[str, Any]:
    """The report as plain data: the manifest's measures, the plan, and what each step did, gave and refused."""
    document = manifest.model_dump(mode="json", exclude={"files"})
    document["plan"] = _plan(outcome.plan)
    document["doubts"] = list(outcome.evidence.doubts)
    document["model"], document["made_on"] = outcome.model, outcome.made_on.isoformat()
    document["command"] = outcome.command
    document["steps"] = [
        {
            "name": step.name,
            "what": step.step.what,
            "seconds": round(step.seconds, 3),
            "parity": step.agreement.entry,
            "changes": list(step.result.changes),
            "refusals": [dataclasses.asdict(refusal) for refusal in step.result.refusals],
            "warnings": list(step.result.warnings),
        }
        for step in outcome.done
    ]
    document["stages"] = [
        {
            "name": stage.name,
            "size_bytes": stage.size_bytes,
            "accuracy": stage.metric if outcome.evidence.measure.name == DEFAULT else None,
            "metric": stage.metric,
            "metric_drop_interval_95": None if stage.drop is None else stage.drop.interval_95,
            "parity": stage.parity.entry,
            "times_ms": [round(time_ms, 5) for time_ms in stage.times_ms],
        }
        for stage in outcome.evidence.stages
    ]
    document["classes"] = [dataclasses.asdict(change) for change in outcome.evidence.classes]
    document["flips"] = _flips(outcome.evidence.flips)
    document["answers"] = answers_entry(outcome.evidence.changes)
    document["diagnosis"] = dataclasses.asdict(outcome.diagnosis)
    return document


def _plan(plan: Plan) -> dict[str, Any]:
    """The plan in words."""
    head = {name: getattr(plan, name) for name in ("target", "strategy", "reason")}
    steps = [{"name": step.name, "what": step.what} for step in plan.steps]
    return {**head, "steps": steps, "warnings": list(plan.warnings)}


def _flips(flips: Flips) -> dict[str, Any]:
    """What flipped; JSON has no pairs for keys."""
    pairs = sorted(flips.pairs.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = {name: getattr(flips, name) for name in ("samples", "count", "lost", "won", "other")}
    return {
        **counts,
        "pairs": [{"before": before, "after": after, "count": count} for (before, after), count in pairs],
        "examples": [dataclasses.asdict(flip) for flip in flips.examples],
    }
