"""The data of a run by the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecompress.data.batches import Batches, TensorSpec


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

    @property
    def class_axis(self) -> int | None:
        """The axis of the scores that the labels lack, where it was settled and there are labels."""
        return next((batches.class_axis for batches in (self.evaluation, self.train) if batches is not None), None)

    def fitted(self, signature: tuple[TensorSpec, ...]) -> Streams:
        """What is run through an exported model, each batch held against its inputs; training may be on other sizes."""
        fit = [
            None if batches is None else replace(batches, signature=signature)
            for batches in (self.calibration, self.evaluation)
        ]
        return replace(self, calibration=fit[0], evaluation=fit[1])

    def with_class_axis(self, axis: int | None) -> Streams:
        """The same data, whose labels lack that axis of the scores."""
        evaluation, train = (
            None if batches is None else replace(batches, class_axis=axis) for batches in (self.evaluation, self.train)
        )
        return replace(self, evaluation=evaluation, train=train)
