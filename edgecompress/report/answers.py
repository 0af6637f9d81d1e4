"""Answers that changed, as plain data: what ``report.json`` has of them, their masks drawn."""

from __future__ import annotations

from typing import Any

from edgecompress.report.masks import drawn_difference, drawn_mask
from edgecompress.validation.answers import SampleAnswer
from edgecompress.validation.changes import Change, Changes


def answers_entry(changes: Changes) -> dict[str, Any]:
    """Counts, and an entry for each sample that is shown, the worst first."""
    counts = {name: getattr(changes, name) for name in ("samples", "lost", "won", "unvalued")}
    return {**counts, "examples": [_example(change) for change in changes.examples]}


def _example(change: Change) -> dict[str, Any]:
    figures = {name: getattr(change, name) for name in ("index", "value_before", "value_after", "loss", "sqnr_db")}
    return {
        **figures,
        "picture": change.picture,
        "size": None if change.size is None else list(change.size),
        "before": _answer(change.before),
        "after": _answer(change.after),
        "target": None if change.target is None else _answer(change.target),
        "difference": _difference(change.before, change.after),
    }


def _answer(answer: SampleAnswer) -> dict[str, Any]:
    return {**answer.entry, **({"mask": drawn_mask(answer.content)} if answer.kind == "mask" else {})}


def _difference(before: SampleAnswer, after: SampleAnswer) -> dict[str, Any] | None:
    """Where two masks differ, and at which share of their places."""
    if before.kind != "mask" or after.kind != "mask" or before.content.shape != after.content.shape:
        return None
    share = float((before.content != after.content).mean())
    return {"mask": drawn_difference(before.content, after.content), "share": share}
