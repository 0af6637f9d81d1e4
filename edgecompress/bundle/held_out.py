"""The metric of a bundle on data that may not be those it was made with, and of its original on the same data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecompress.axes.classes import settle_class_axis
from edgecompress.bundle.measured_rows import HERE, NOWHERE, RECORDED, MeasuredRow, recorded
from edgecompress.bundle.reading import Bundle, recorded_number
from edgecompress.data.batches import Batches
from edgecompress.errors import ModelError
from edgecompress.metrics.agreement import listed
from edgecompress.metrics.metric import DEFAULT, Measure
from edgecompress.progress import Progress
from edgecompress.recipe.recorded import read_recorded
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.targets.cpus import arithmetic_of
from edgecompress.units import metric, metric_title
from edgecompress.validation.budgets import metric_measures, metric_units
from edgecompress.validation.drops import Drop
from edgecompress.validation.scores import Scores, score

GIVE_ORIGINAL = "give the float model of the bundle as an ONNX file"
SAME_SHARE, SAME_SAMPLES = 0.01, 2
"""How far two scores of one float model may be apart on two machines: a share of them, or so many samples."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The metric, its drop and the agreement with the original; and the slices of outputs that went silent, by name.

    ``measured`` has what budgets bound of the metric, by the names of
    :data:`~edgecompress.validation.budgets.MEASURES`; ``before`` is that of the float model, None where it is unknown.
    """

    rows: tuple[MeasuredRow, ...]
    before: float | None
    measured: Mapping[str, float | None]
    lost: tuple[str, ...]


def measure_quality(
    bundle: Bundle, measure: Measure, evaluation: Batches | None, original: Path | None, progress: Progress
) -> Quality:
    """The metric, its drop, and the agreement with the original.

    The drop is that of two files on the same data: of the original and the artifact here, or of what was recorded and
    the artifact where the data are those of the record. Otherwise it is not measured.

    Args:
        bundle: whose hashes were checked.
        measure: the metric.
        evaluation: data with labels, that are measured by it; without them all is as recorded.
        original: the float ONNX file, which runs on the data.
        progress: told of every batch, and of what is not measured.

    Raises:
        DataError: the data does not fit the bundle.
        ModelError: the original scores otherwise on these data than the float model that the bundle was made of.
        RecipeError: the metric fails.
    """
    if evaluation is None:
        before, after = (recorded_value(bundle, measure, side) for side in ("original", "compressed"))
        rows = _metric_rows(measure, before, after, RECORDED, _recorded_drop(bundle, measure, before, after))
        return Quality(
            rows=(*rows, _recorded_agreement(bundle)),
            before=before,
            measured=metric_measures(measure, before, after),
            lost=_recorded_losses(bundle),
        )
    scores = score_files(
        bundle, evaluation, [path for path in (original, bundle.artifact) if path is not None], progress
    )
    for line in scores.misread:
        progress.warn(line)
    value, known = scores.values[-1], _before(bundle, measure, scores)
    before = known if original is None else scores.values[0]
    if original is not None:
        _require_same(original, measure, before, known, scores.samples)
    if value is None:
        progress.warn(f"the evaluation data has no labels; {measure.in_words} is not measured")
    elif before is None:
        recorded_by_it = is_recorded(bundle, measure)
        reason = "these are other data than the bundle's" if recorded_by_it else "the bundle was measured otherwise"
        progress.warn(
            f"{reason}, so that its record does not compare; the drop is not measured: give the float model"
            " (--original), which is then run on the same data"
        )
    agreement = MeasuredRow(measure="sqnr_db", value=scores.agreements[-1].sqnr_db, unit="dB", source=HERE)
    lost = _recorded_losses(bundle) if original is None else scores.agreements[-1].lost(silent=True)
    if lost and original is not None:
        progress.warn(f"{listed(lost)} carries signal in the float model and is zero or a constant in the artifact")
    last = _recorded_agreement(bundle) if original is None else agreement
    return Quality(
        rows=(*_metric_rows(measure, before, value, HERE, None if original is None else scores.drop), last),
        before=before,
        measured=metric_measures(measure, before, value),
        lost=lost,
    )


def _metric_rows(
    measure: Measure, before: float | None, after: float | None, source: str, drop: Drop | None
) -> Iterator[MeasuredRow]:
    """The rows of the metric: of top-1 the accuracy and its drop, of another one its share, too."""
    if drop is None and before is not None and after is not None:
        drop = Drop(before=before, after=after, unit=measure.unit, higher_is_better=measure.wants_more)
    values = metric_measures(measure, before, after)
    of_the_value = NOWHERE if after is None else source
    units = {**metric_units(measure), "metric_kept": "share"}
    if measure.name == DEFAULT:
        yield MeasuredRow(measure="accuracy", value=after, unit="%", source=of_the_value)
        title, shown = "accuracy", {"accuracy_drop": "points"}
    else:
        title = metric_title(measure.name)
        yield MeasuredRow(measure="metric", value=after, unit=measure.unit, source=of_the_value, title=title)
        shown = {name: units[name] for name in ("metric_drop", "metric_kept")}
    for name, unit in shown.items():
        value = values[name]
        found = NOWHERE if value is None else source
        kept = name == "metric_kept"
        yield MeasuredRow(
            measure=name,
            value=value,
            unit=unit,
            source=found,
            drop=None if kept else drop,
            title=f"{title}, {'kept' if kept else 'change'}",
        )


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


def _before(bundle: Bundle, measure: Measure, scores: Scores) -> float | None:
    """The original's metric on the same data, where that was recorded."""
    same = scores.digest == bundle.manifest.data.get("evaluation_digest")
    return recorded_value(bundle, measure, "original") if same else None


def _require_same(original: Path, measure: Measure, found: float | None, known: float | None, samples: int) -> None:
    """Require that a float model scores as the recorded one did on the same data, up to what few samples decide."""
    if found is None or known is None:
        return
    if abs(found - known) > max(SAME_SHARE, SAME_SAMPLES / samples) * max(abs(found), abs(known)):
        here, there = (metric(value, measure.unit) for value in (found, known))
        raise ModelError(
            f"{str(original)!r} is not the float model of the bundle: {measure.in_words} is {here} on these data, and"
            f" was {there}; {GIVE_ORIGINAL}"
        )


def recorded_value(bundle: Bundle, measure: Measure, side: str) -> float | None:
    """The metric of the original or the artifact, where that is what was recorded; bundles of before have accuracy."""
    if not is_recorded(bundle, measure):
        return None
    return recorded_number(bundle, "accuracy" if measure.name == DEFAULT else "metric", side)


def _recorded_drop(bundle: Bundle, measure: Measure, before: float | None, after: float | None) -> Drop | None:
    """The drop with its interval, where one was recorded."""
    low, high = (recorded_number(bundle, "metric", "drop_interval_95", place) for place in (0, 1))
    if before is None or after is None or low is None or high is None:
        return None
    return Drop(
        before=before,
        after=after,
        unit=measure.unit,
        higher_is_better=measure.wants_more,
        interval_95=(low, high),
    )


def is_recorded(bundle: Bundle, measure: Measure) -> bool:
    """Whether a bundle records this metric, of outputs that went through the same."""
    metric = bundle.manifest.metrics.get("metric")
    found = metric if isinstance(metric, dict) else {}
    postprocess = None if measure.postprocess is None else measure.postprocess.name
    return (found.get("name", DEFAULT), found.get("postprocess")) == (measure.name, postprocess)


def score_files(
    bundle: Bundle, evaluation: Batches, files: Sequence[Path], progress: Progress, examples: int = 0
) -> Scores:
    """The scores of the files, the artifact last, in the arithmetic of the target.

    Raises:
        DataError: the data does not fit the files.
        RecipeError: the metric fails.
    """
    arithmetic = arithmetic_of(read_recorded(bundle.manifest.recipe))
    sessions = [open_session(file, ALL_CORES, arithmetic=arithmetic) for file in files]
    asked = evaluation.class_axis if evaluation.class_axis is not None else recorded_class_axis(bundle)
    if evaluation.measure.of_raw_scores:
        axis = settle_class_axis(
            lambda batch: run_session(sessions[-1], batch.inputs)[0].shape, [evaluation], asked, progress.warn
        )
        evaluation = replace(evaluation, class_axis=axis)
    return score(sessions, evaluation, progress, examples, in_full=len(files) > 1)
