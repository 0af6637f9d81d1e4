"""The zoo: small versions of the networks that structured pruning has to handle."""

from __future__ import annotations

from tests.pruning.zoo import branching, mobile, residual, sequence
from tests.pruning.zoo.entry import Entry

__all__ = ["ZOO", "Entry"]

ZOO: dict[str, Entry] = {**residual.ENTRIES, **mobile.ENTRIES, **branching.ENTRIES, **sequence.ENTRIES}
