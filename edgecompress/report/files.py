"""``report.json`` says everything that the manifest says and how it came about; ``report.html`` shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from edgecompress.exporters.manifest import Manifest, canonical
from edgecompress.outcome import Outcome, parity_entry
from edgecompress.units import decibels, kilobytes, milliseconds, percent, times


def report_files(outcome: Outcome, manifest: Manifest) -> dict[str, bytes]:
    """``report.json`` and ``report.html`` by name."""
    report = make_report(outcome, manifest)
    return {"report.json": canonical(report), "report.html": render(report).encode()}


def make_report(outcome: Outcome, manifest: Manifest) -> dict[str, Any]:
    """The report as plain data: the manifest's measures, the plan, and what each step did and refused."""
    document = manifest.model_dump(mode="json", exclude={"files"})
    document["plan"] = dataclasses.asdict(outcome.plan)
    document["doubts"] = list(outcome.evidence.doubts)
    document["steps"] = [
        {
            "name": step.name,
            "seconds": round(step.seconds, 3),
            "parity": parity_entry(step.agreement),
            "changes": list(step.result.changes),
            "refusals": [dataclasses.asdict(refusal) for refusal in step.result.refusals],
            "warnings": list(step.result.warnings),
        }
        for step in outcome.done
    ]
    return document


def render(report: Mapping[str, Any]) -> str:
    """The page: self-contained, no script, no request; light and dark by the reader's setting."""
    environment = Environment(
        loader=PackageLoader("edgecompress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    forms = {form.__name__: form for form in (decibels, kilobytes, milliseconds, percent, times)}
    return environment.get_template("report.html").render(report=report, **forms)
