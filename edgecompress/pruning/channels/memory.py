"""What a run had chosen before it was killed: latency is measured, and would be another the second time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from edgecompress.durable import replacing
from edgecompress.pruning.channels.request import Selection
from edgecompress.step import Refusal


def recall(file: Path, key: str) -> Selection | None:
    """The selection that was kept for the same key; None where there is none, or it cannot be read."""
    try:
        kept = json.loads(file.read_text())
        if kept["key"] != key:
            return None
        refusals = tuple(Refusal(**one) for one in kept["refusals"])
        return Selection(units=tuple(kept["units"]), widths=kept["widths"], refusals=refusals)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(file: Path, key: str, selection: Selection) -> None:
    """Keep a selection; the file is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as stream:
        stream.write(json.dumps({"key": key, **asdict(selection)}).encode())
