"""The metric of a task on the samples that are run at another place: there, on this machine, and of the float model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecompress.arrays import Array
from edgecompress.data.batches import Batch
from edgecompress.metrics.metric import Measure
from edgecompress.metrics.running import Running
from edgecompress.runtime import ALL_CORES, open_session, run_session

Outputs = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What answers are judged by: a metric, and the float ONNX model as bytes or a path, None where it is not known."""

    measure: Measure
    floats: bytes | Path | None = None


@dataclass(frozen=True, kw_only=True)
class JudgedMetric:
    """The metric of the same samples three times, in its unit.

    Attributes:
        name: of the metric.
        unit: of the metric.
        there: at the place.
        here: of the artifact on this machine.
        original: of the float model on this machine; None where it is not known.
    """

    name: str
    unit: str
    there: float | None
    here: float | None
    original: float | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return asdict(self)


def judged(
    scoring: Scoring | None, batches: Sequence[Batch], here: Sequence[Outputs], there: Sequence[Outputs]
) -> JudgedMetric | None:
    """The metric at a place, and what it is on this machine; None where a batch has no labels.

    Args:
        scoring: by what; None for nothing.
        batches: the samples, with their labels.
        here: outputs of the artifact on this machine for each batch, by name.
        there: outputs of the artifact at the place.

    Raises:
        DataError: the labels do not fit the outputs.
        RecipeError: the metric fails.
    """
    if scoring is None or not batches or any(batch.labels is None for batch in batches):
        return None
    measure = scoring.measure
    return JudgedMetric(
        name=measure.name,
        unit=measure.unit,
        there=_value(measure, batches, there),
        here=_value(measure, batches, here),
        original=None if scoring.floats is None else _value(measure, batches, _outputs(scoring.floats, batches)),
    )


def _outputs(model: bytes | Path, batches: Sequence[Batch]) -> list[Outputs]:
    session = open_session(model, ALL_CORES)
    names = [spec.name for spec in session.get_outputs()]
    return [dict(zip(names, run_session(session, batch.inputs), strict=True)) for batch in batches]


def _value(measure: Measure, batches: Sequence[Batch], outputs: Sequence[Outputs]) -> float | None:
    running = Running(measure)
    for index, (batch, each) in enumerate(zip(batches, outputs, strict=True)):
        running.update([*each.values()], batch.labels, f"sample batch {index}", batch.class_axis, [*each])
    return running.value
