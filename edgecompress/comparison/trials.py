"""Trials: what a model is before it is compressed, and what profiles really make of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edgecompress.errors import EdgecompressError
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.metrics.metric import PERCENT
from edgecompress.pipeline.compress import compress
from edgecompress.pipeline.fold import float_original
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import ADVISES, in_options
from edgecompress.runtime import Network, open_session, run_session, session_rows, to_bytes
from edgecompress.system.scratch import scratch_folder
from edgecompress.targets import TargetProfile
from edgecompress.targets.cpus import threads_here
from edgecompress.targets.effects import MeasuredFloat
from edgecompress.timing.interleaving import interleave
from edgecompress.timing.latency import summarize
from edgecompress.units import budget
from edgecompress.validation.drops import is_sure


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a profile: the measures of its bundle, its budgets that are missed, or that the noise of the machine
    leaves undecided; or why there is none.

    ``speedup`` is from one interleaved run of the float model and the artifact; ``accuracy_drop`` is in points, and
    None without labels; ``metric_drop`` is that of whatever metric decides, positive where it is worse, in points where
    ``metric_unit`` is percent; ``drop_verdict`` says whether it is one beyond chance, where that is known.
    """

    size_mb: float | None = None
    speedup: float | None = None
    accuracy_drop: float | None = None
    metric_drop: float | None = None
    metric_unit: str = PERCENT
    drop_verdict: str | None = None
    missed: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    failure: str | None = field(default=None, metadata=ADVISES)

    @property
    def drop_in_words(self) -> str:
        """The drop of the metric, or why it says nothing.

        >>> Trial(metric_drop=0.25).drop_in_words, Trial(metric_drop=0.25, metric_unit="m").drop_in_words
        ('0.25 points', '0.2500 m')
        >>> Trial(metric_drop=0.25, drop_verdict="no difference").drop_in_words, Trial().drop_in_words
        ('no difference', '-')
        """
        if self.metric_drop is None:
            return "-"
        if not is_sure(self.drop_verdict):
            return str(self.drop_verdict)
        return budget(self.metric_drop, "points" if self.metric_unit == PERCENT else self.metric_unit)


def measure_float(
    network: Network,
    data: Mapping[str, Data],
    recipe: Recipe,
    warn: Callable[[str], None] = lambda _: None,
    by: MeasuredBy = AS_NAMED,
    *,
    asked: Sequence[str] = (),
) -> MeasuredFloat:
    """Size and latency of a model's float ONNX file on this machine.

    Args:
        network: not modified.
        data: batches by role, calibration or evaluation; the first of the first are measured with, and the labels of
            evaluation are looked at.
        recipe: how images are read and the model is exported; its ``cpu`` says how latency is measured.
        warn: told of labels that the default metric says little of.
        by: what decides in place of the recipe's metric.
        asked: the keys that were set for this run.

    Raises:
        ModelError: the model cannot be run or captured.
        DataError: the data is missing or does not fit.
    """
    kept = ("export", "data", "images", "cpu", "evaluation")
    plain = Recipe(**{table: getattr(recipe, table) for table in kept})
    opened = open_together(network, data, plain, warn, by, asked=asked)
    plain, example = opened.recipe, opened.first()
    artifact = to_bytes(float_original(opened.network, plain, example))
    session = open_session(artifact, threads_here(plain.cpu.threads))
    sample = example.sample(session_rows(session, example.axes) or 1).inputs
    times = interleave([functools.partial(run_session, session, sample)], plain.cpu.runs)
    return MeasuredFloat(size_mb=len(artifact) / 1e6, latency_ms=summarize(times[:, 0]).median_ms)


def try_profile(
    network: Network,
    profile: TargetProfile,
    data: Mapping[str, Data],
    progress: Progress,
    by: MeasuredBy = AS_NAMED,
) -> Trial:
    """Compress a model for a profile, and forget the bundle.

    Args:
        network: not modified.
        profile: what is tried; its budgets are those that are missed or not.
        data: by role: calibration, and evaluation and train where they are there.
        progress: told of every step.
        by: the metric, the postprocessing and the loss in place of the profile's.
    """
    with scratch_folder() as folder:
        try:
            manifest = in_options(compress)(
                network,
                target=profile,
                calibration=data["calibration"],
                evaluation=data.get("evaluation"),
                train=data.get("train"),
                output=folder / profile.name,
                progress=progress,
                metric=by.metric,
                postprocess=by.postprocess,
                loss=by.loss,
            ).manifest
        except EdgecompressError as error:
            return Trial(failure=str(error))
    return Trial(
        size_mb=manifest.metrics["size_bytes"]["compressed"] / 1e6,
        speedup=manifest.metrics["latency_ms"]["ratio"],
        accuracy_drop=manifest.metrics["accuracy"]["drop"],
        metric_drop=manifest.metrics["metric"]["drop"],
        metric_unit=manifest.metrics["metric"]["unit"],
        drop_verdict=manifest.metrics["metric"]["verdict"],
        missed=tuple(check.budget for check in manifest.verdict.budgets if check.outcome == "fail"),
        undecided=tuple(check.budget for check in manifest.verdict.budgets if check.outcome == "too noisy to say"),
    )
