"""The data of a run by the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecompress.data import Batches


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Checked batches: to calibrate on, to measure accuracy on, and to train on; each may be missing."""

    calibration: Batches | None = None
    evaluation: Batches | None = None
    train: Batches | None = None

    @property
    def measured(self) -> Batches | None:
        """The evaluation data as accuracy is measured on it: labels that are no classes do not count."""
        if self.evaluation is None or "f" not in self.evaluation.label_kinds:
            return self.evaluation
        return replace(self.evaluation, use_labels=False)
