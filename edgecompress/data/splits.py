"""The data of a run by the part that it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgecompress.arrays import TensorSpec
from edgecompress.data.batches import Batches


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Checked batches: to calibrate on, to measure accuracy on, and to train on; each may be missing."""

    calibration: Batches | None = None
    evaluation: Batches | None = None
    train: Batches | None = None

    @property
    def measured(self) -> Batches | None:
        """The evaluation data as networks are measured on it: for a metric of classes, other labels do not count."""
        evaluation = self.evaluation
        if evaluation is None or not evaluation.measure.of_classes or "f" not in evaluation.label_kinds:
            return evaluation
        return replace(evaluation, use_labels=False)

    @property
    def with_classes(self) -> tuple[Batches, ...]:
        """The data whose labels are the classes of scores, that of the evaluation first."""
        measured = self.measured
        first = (measured,) if measured is not None and measured.measure.of_raw_scores else ()
        return (*first, *((self.train,) if self.train is not None else ()))

    @property
    def class_axis(self) -> int | None:
        """The axis of the scores that the labels lack, where it was settled and there are labels."""
        return next((data.class_axis for data in self.with_classes), None)

    def fitted(self, signature: tuple[TensorSpec, ...]) -> Streams:
        """What is run through an exported model, each batch held against its inputs; training may be on other sizes."""
        fit = [
            None if batches is None else replace(batches, signature=signature)
            for batches in (self.calibration, self.evaluation)
        ]
        return replace(self, calibration=fit[0], evaluation=fit[1])

    def with_class_axis(self, axis: int | None) -> Streams:
        """The same data, whose labels lack that axis of the scores, where they are classes."""
        evaluation = self.evaluation
        if evaluation is not None and evaluation.measure.of_raw_scores:
            evaluation = replace(evaluation, class_axis=axis)
        train = None if self.train is None else replace(self.train, class_axis=axis)
        return replace(self, evaluation=evaluation, train=train)
