"""A bundle's accuracy on data that may be other than those it was made with, beside its original on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecompress.axes.classes import settle_class_axis
from edgecompress.bundle.reading import Bundle
from edgecompress.bundle.remeasured import HERE, NOWHERE, MeasuredRow, recorded, recorded_number
from edgecompress.data.batches import Batches
from edgecompress.metrics.agreement import listed
from edgecompress.progress import Progress
from edgecompress.recipe.tables import parse_recipe
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.targets.cpus import arithmetic_of
from edgecompress.validation.evidence import Scores, score


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Accuracy, its drop and the agreement with the original; and the slices of outputs that went silent, by name."""

    rows: tuple[MeasuredRow, ...]
    lost: tuple[str, ...]


def measure_quality(bundle: Bundle, evaluation: Batches | None, original: Path | None, progress: Progress) -> Quality:
    """Accuracy, its drop, and the agreement with the original.

    The drop is that of two files on the same data: of the original and the artifact here, or of what was recorded and
    the artifact where the data are those of the record. Otherwise it is not measured.

    Args:
        bundle: whose hashes were checked.
        evaluation: data with labels; without them all is as recorded.
        original: the float ONNX file, which runs on the data.
        progress: told of every batch, and of what is not measured.

    Raises:
        DataError: the data does not fit the bundle.
    """
    if evaluation is None:
        rows = (
            recorded(bundle, "accuracy", ("accuracy", "compressed"), "%"),
            recorded(bundle, "accuracy_drop", ("accuracy", "drop"), "points"),
            _recorded_agreement(bundle),
        )
        return Quality(rows=rows, lost=_recorded_losses(bundle))
    scores = _scored(bundle, evaluation, [path for path in (original, bundle.artifact) if path is not None], progress)
    accuracy = scores.tallies[-1].percent
    before = scores.tallies[0].percent if original is not None else _before(bundle, scores)
    if accuracy is None:
        progress.warn("the evaluation data has no labels; accuracy is not measured")
    elif before is None:
        progress.warn(
            "these are not the evaluation data of the bundle, whose accuracies do not compare with theirs; the drop is"
            " not measured: give the float model (--original), which is then run on them too"
        )
    drop = None if accuracy is None or before is None else before - accuracy
    agreement = MeasuredRow(measure="sqnr_db", value=scores.agreements[-1].sqnr_db, unit="dB", source=HERE)
    lost = _recorded_losses(bundle) if original is None else scores.agreements[-1].lost(silent=True)
    if lost and original is not None:
        progress.warn(f"{listed(lost)} carries signal in the float model and is zero or a constant in the artifact")
    rows = (
        MeasuredRow(measure="accuracy", value=accuracy, unit="%", source=HERE),
        MeasuredRow(measure="accuracy_drop", value=drop, unit="points", source=NOWHERE if drop is None else HERE),
        _recorded_agreement(bundle) if original is None else agreement,
    )
    return Quality(rows=rows, lost=lost)


def recorded_class_axis(bundle: Bundle) -> int | None:
    """The axis along which the labels of the run showed classes to lie."""
    axis = recorded_number(bundle, "accuracy", "class_axis")
    return None if axis is None else int(axis)


def _recorded_losses(bundle: Bundle) -> tuple[str, ...]:
    """The slices that the artifact had lost when the bundle was written; bundles of before recorded none."""
    value: Any = bundle.manifest.metrics
    for key in ("parity", "compressed", "lost"):
        value = value.get(key) if isinstance(value, dict) else None
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _recorded_agreement(bundle: Bundle) -> MeasuredRow:
    return recorded(bundle, "sqnr_db", ("parity", "compressed", "sqnr_db"), "dB")


def _before(bundle: Bundle, scores: Scores) -> float | None:
    """The original's accuracy on the same data, where that was recorded."""
    same = scores.digest == bundle.manifest.data.get("evaluation_digest")
    return recorded_number(bundle, "accuracy", "original") if same else None


def _scored(bundle: Bundle, evaluation: Batches, files: Sequence[Path], progress: Progress) -> Scores:
    """The scores of the files, the last of which is the artifact, in the arithmetic of the target."""
    arithmetic = arithmetic_of(parse_recipe(bundle.manifest.recipe))
    sessions = [open_session(file, ALL_CORES, arithmetic=arithmetic) for file in files]
    asked = evaluation.class_axis if evaluation.class_axis is not None else recorded_class_axis(bundle)
    axis = settle_class_axis(
        lambda batch: run_session(sessions[-1], batch.inputs)[0].shape, [evaluation], asked, progress.warn
    )
    return score(sessions, replace(evaluation, class_axis=axis), progress)
