"""What devices measured, among the measures of a bundle: it decides in the place of this machine's times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from edgecompress.bundle.measured_rows import MeasuredRow
from edgecompress.data.batches import Batch
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import session_rows
from edgecompress.validation.elsewhere.measured import DecidingFigure
from edgecompress.validation.elsewhere.timed import TimingTask

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def decided_by_devices(
    rows: Sequence[MeasuredRow], figures: Mapping[str, DecidingFigure], source: str
) -> list[MeasuredRow]:
    """The rows, with what devices measured in the place of what this machine did.

    Args:
        rows: of this machine, or of its record.
        figures: of devices, by measure.
        source: where these are from.
    """
    return [_decided(row, figures[row.measure], source) if row.measure in figures else row for row in rows]


def _decided(row: MeasuredRow, figure: DecidingFigure, source: str) -> MeasuredRow:
    told = f"{source.removesuffix(' here')} on {figure.place}"
    return replace(row, value=figure.value, interval=figure.interval, source=told)


def timing_of(golden: Batch, session: InferenceSession, original: Path | None, recipe: Recipe) -> TimingTask:
    """What a device times of a bundle: the artifact, in turn with the float model where that is given.

    Args:
        golden: the inputs of the self-test.
        session: of the artifact.
        original: the float ONNX file.
        recipe: of the bundle.
    """
    return TimingTask(
        sample=golden.sample(session_rows(session, golden.axes) or 1).inputs,
        runs=recipe.cpu.runs,
        threads=recipe.cpu.threads,
        original=None if original is None else onnx.load(original).SerializeToString(),
    )
