"""The data of a run by the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecompress.data import Batches, TensorSpec


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

    def fitted(self, signature: tuple[TensorSpec, ...]) -> Streams:
        """What is run through an exported model, each batch held against its inputs; training may be on other sizes."""
        fit = [
            None if one is None else replace(one, signature=signature) for one in (self.calibration, self.evaluation)
        ]
        return replace(self, calibration=fit[0], evaluation=fit[1])
