"""Recommendation in Python: which target to take under limits, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgecompress.comparison.trials import Trial, measure_float, try_profile
from edgecompress.errors import DataError, InputError, RecipeError
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.models import given_model
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, assignments, named_as_arguments, number
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.meant import text_as_meant
from edgecompress.recipe.overrides import keys_of, override
from edgecompress.recipe.quantities import shortest
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import ADVISES, in_python_words
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile, load_profile, profile_names
from edgecompress.targets.cpus import as_named, host_isa
from edgecompress.targets.effects import MeasuredFloat
from edgecompress.targets.profile import overridden
from edgecompress.targets.reasons import what_decided
from edgecompress.targets.recommendation import RankedTarget, Recommendation
from edgecompress.targets.recommendation import recommend as rank_targets
from edgecompress.targets.rules import Constraints, find_cpu_or_device


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The targets under limits: those that are left, the best first, and those that are not.

    Attributes:
        constraints: the limits.
        measured: the float model, where one was given: megabytes, and milliseconds where they are known.
        found: the targets, each with its reason and what is predicted of it.
        trials: what was measured of a target's bundle, by the name of the target.
        not_known: what this machine cannot say of another CPU's latency.
        because: which of the limits, or other facts that were given, put the first target there.
        with_training: the target that would be the first with training data, where nobody said whether there is some.
        overrides: ``KEY=VALUE`` for :func:`compress` with the first target: what suits it to the CPU that is asked for,
            and the same limits.
    """

    constraints: Constraints
    measured: MeasuredFloat | None
    found: Recommendation
    trials: Mapping[str, Trial] = field(default_factory=dict, metadata=ADVISES)
    not_known: str | None = None
    because: str | None = field(default=None, metadata=ADVISES)
    with_training: str | None = None
    overrides: tuple[str, ...] = ()

    @property
    def best(self) -> TargetProfile | None:
        """The first target; None where none is left."""
        return self.found.ranked[0].profile if self.found.ranked else None

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "constraints": asdict(self.constraints),
            "float": None if self.measured is None else asdict(self.measured),
            "ranked": [
                {
                    **_head(ranked.profile),
                    "decided_by": ranked.decided_by,
                    "why": ranked.why,
                    "settings": ranked.settings,
                    "uncertain": dict(ranked.uncertain),
                    "predicted": None if ranked.prediction is None else asdict(ranked.prediction),
                    "measured": asdict(trial) if (trial := self.trials.get(ranked.profile.name)) else None,
                }
                for ranked in self.found.ranked
            ],
            "rejected": [
                {**_head(rejected.profile), "constraint": rejected.constraint, "why": rejected.why}
                for rejected in self.found.rejected
            ],
            "not_known": self.not_known,
            "with_training": self.with_training,
        }


@in_python_words
@named_as_arguments("budgets")
def recommend(
    *,
    cpu: str | None = None,
    max_latency_ms: float | None = None,
    max_size_mb: float | None = None,
    max_accuracy_drop: float | None = None,
    train_data: bool | None = None,
    model: Network | str | Path | None = None,
    weights: str | Path | None = None,
    calibration: Data | None = None,
    evaluation: Data | None = None,
    train: Data | None = None,
    measure: bool = False,
    overrides: Overrides = (),
    float_latency_ms: float | None = None,
    progress: Progress | None = None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    loss: LossOrName | None = None,
) -> Advice:
    """Rank the targets under limits: why the first is the first, and what the others break.

    Args:
        cpu: name of a CPU, of a family of CPUs, or of a device; by default this machine's counts.
        max_latency_ms: median latency of one sample, in milliseconds.
        max_size_mb: size of the artifact in megabytes (10^6 bytes).
        max_accuracy_drop: percentage points of top-1 accuracy.
        train_data: whether there is data to train on; None where it is not known.
        model: predict for it: a module, an exported program or an ONNX model, none of which is modified; or MODEL, as
            on the command line. Its float form is measured, for which it needs ``calibration``.
        weights: of a module that MODEL names: safetensors, or a state dict.
        calibration: batches, as :func:`compress` takes them.
        evaluation: the same, with labels; a warning says where the default metric says little of them.
        train: for ``measure``: the same, with labels, to train on.
        measure: compress for each target that is left, and measure.
        overrides: ``KEY=VALUE`` in a list, or values by key in a dict, for the recipe of every target.
        float_latency_ms: median latency of the float model on that CPU, measured there, in milliseconds.
        progress: what is told of the progress; by default nobody.
        metric: for ``measure``: what decides, as :func:`compress` takes it.
        postprocess: for ``measure``: what the outputs become before, as :func:`compress` takes it.
        loss: for ``measure``: what training minimizes, as :func:`compress` takes it.

    Raises:
        RecipeError: there is no such CPU or key, or a limit is no number that a budget can have.
        ModelError: the model cannot be loaded, run or captured.
        DataError: the model has no calibration data, or the data does not fit.
        InputError: there is data or a latency, and no model.

    >>> recommend(max_size_mb=5, train_data=False).best.name
    'mobile'
    """
    given = {"calibration": calibration, "evaluation": evaluation, "train": train}
    data = {role: each for role, each in given.items() if each is not None}
    _check_given(model, weights, data, measure=measure)
    _check_latency(model, float_latency_ms)
    if not isinstance(train_data, (bool, type(None))):
        raise RecipeError(f"train_data is {train_data!r}; give True, False or None")
    if cpu is not None and not isinstance(cpu, str):
        raise RecipeError(f"cpu is {cpu!r}; give the name of a CPU, of a family of CPUs, or of a device")
    isa, device = find_cpu_or_device(cpu) if cpu is not None else (None, None)
    constraints = Constraints(
        isa=isa,
        device=device,
        max_latency_ms=text_as_meant("budgets.max_latency_ms", max_latency_ms),
        max_size_mb=text_as_meant("budgets.max_size_mb", max_size_mb),
        max_accuracy_drop=text_as_meant("budgets.max_accuracy_drop", max_accuracy_drop),
        train_data=True if train is not None else train_data,
    )
    asked, by = assignments("overrides", overrides), MeasuredBy(metric=metric, postprocess=postprocess, loss=loss)
    by.named_in(Recipe())  # which refuses what there is not
    # One thread for all, so that the float model is measured as the artifacts are.
    own = ("cpu.threads=1", *asked)
    recipe = override(Recipe(budgets=Budgets(**constraints.limits)), own)
    # A device, or another CPU than this one, has milliseconds of its own.
    foreign = cpu is not None and as_named(cpu) != host_isa()
    budgets = constraints.budgets(float_latency_ms, foreign=foreign)
    profiles = [overridden(load_profile(name), asked) for name in profile_names()]
    network = None if model is None else given_model(model, weights, progress)
    progress = progress or Progress()
    held = {role: each for role, each in data.items() if role != "train"}
    measured = (
        None if network is None else measure_float(network, held, recipe, progress.warn, by, asked=keys_of(asked))
    )
    if measured is not None and (foreign or float_latency_ms is not None):
        measured = replace(measured, latency_ms=float_latency_ms)
    found = rank_targets(profiles, constraints, measured)
    tried: dict[str, Trial] = {}
    if network is not None and measure:
        tried = _try(network, data, found, (*own, *budgets), by, progress)
    best = _settings(found.ranked[0], asked) if found.ranked else ()
    unknown = _unknown(cpu, constraints.max_latency_ms) if foreign and float_latency_ms is None else None
    return Advice(
        constraints=constraints,
        measured=measured,
        found=found,
        trials=tried,
        not_known=unknown,
        because=_because(found, constraints, cpu),
        with_training=_with_training(profiles, constraints, measured, found),
        overrides=(*best, *asked, *budgets),
    )


def _with_training(
    profiles: Sequence[TargetProfile],
    constraints: Constraints,
    measured: MeasuredFloat | None,
    found: Recommendation,
) -> str | None:
    """The target that training data would put in the first place, where it is not known whether there are some."""
    if constraints.train_data is not None:
        return None
    first = rank_targets(profiles, replace(constraints, train_data=True), measured).ranked[:1]
    return first[0].profile.name if first and first != found.ranked[:1] and first[0].profile.recipe.trains else None


def _because(found: Recommendation, constraints: Constraints, cpu: str | None) -> str | None:
    """What put the first target there, in the words of the command line."""
    if not found.ranked:
        return None
    first = found.ranked[0]
    trains = first.profile.recipe.trains
    return f"{first.profile.name} is first {what_decided(constraints, first.decided_by, cpu, trains=trains)}."


def _check_given(model: object, weights: object, data: Mapping[str, Data], *, measure: bool) -> None:
    if model is None and (measure or weights or data.keys() - {"train"}):
        raise InputError("there is nothing to measure; give the model (--model) too")
    if model is not None and "calibration" not in data:
        raise DataError("the model is measured on calibration data; give --calibration")


def _check_latency(model: object, float_latency_ms: float | None) -> None:
    if float_latency_ms is None:
        return
    if model is None:
        raise InputError("--float-latency-ms is the latency of a model; give the model (--model) too")
    number("--float-latency-ms", float_latency_ms, lambda milliseconds: milliseconds > 0, "give milliseconds, above 0")


def _settings(ranked: RankedTarget, asked: Sequence[str]) -> tuple[str, ...]:
    """What suits a target to the CPU that is asked for, without the keys that the caller set."""
    keys = keys_of(asked)
    return tuple(setting for setting in ranked.settings if setting.partition("=")[0] not in keys)


def _try(
    network: Network,
    data: Mapping[str, Data],
    found: Recommendation,
    overrides: Sequence[str],
    by: MeasuredBy,
    progress: Progress,
) -> dict[str, Trial]:
    """A trial of each profile that is left, by its name."""
    trials = {}
    for ranked in found.ranked:
        profile = overridden(ranked.profile, (*_settings(ranked, ()), *overrides))
        with progress.step(f"trying {profile.name}"):
            trials[profile.name] = try_profile(network, profile, data, progress, by)
    return trials


def _unknown(cpu: str | None, limit: float | None) -> str | None:
    """What this machine cannot say of another CPU's latency."""
    if limit is None:
        return None
    return (
        f"Whether {shortest(limit)} ms are kept on {cpu} cannot be known here: this machine's milliseconds say nothing"
        " of it, and predicted speeds are those of an x86 with VNNI. Time the float model there and give its latency,"
        f" or hold the bundle to it there: edgecompress validate BUNDLE --max-latency-ms {shortest(limit)}"
    )


def _head(profile: TargetProfile) -> dict[str, str]:
    return {"target": profile.name, "strategy": profile.strategy, "reason": profile.reason}
