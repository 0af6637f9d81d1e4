"""The data of a run by the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass

from edgecompress.data import Batches


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Checked batches: to calibrate on, to measure accuracy on, and to train on; each may be missing."""

    calibration: Batches | None = None
    evaluation: Batches | None = None
    train: Batches | None = None
