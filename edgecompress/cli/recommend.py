"""``edgecompress targets recommend``."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from edgecompress.cli.compress import Data
from edgecompress.cli.tables import console, print_json, print_table, prints_aside
from edgecompress.errors import DataError, InputError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.units import kilobytes, milliseconds

if TYPE_CHECKING:
    from edgecompress.comparison.trials import Trial
    from edgecompress.targets import TargetProfile
    from edgecompress.targets.effects import MeasuredFloat, Prediction
    from edgecompress.targets.recommendation import Recommendation
    from edgecompress.targets.rules import Constraints


def run(
    cpu: Annotated[str | None, typer.Option(metavar="NAME", help="A CPU, a family of CPUs, or a device.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Median for one sample.")] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Megabytes of the artifact (10^6 bytes).")] = None,
    max_accuracy_drop: Annotated[float | None, typer.Option(help="Percentage points of top-1.")] = None,
    train_data: Annotated[
        bool | None, typer.Option("--train-data/--no-train-data", help="Whether there is data to train on.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Predict for it; needs --calibration.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="safetensors, or a state dict.")] = None,
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help=Data)] = None,
    evaluation: Annotated[str | None, typer.Option(metavar="DATA", help="For --measure: with labels.")] = None,
    train: Annotated[str | None, typer.Option(metavar="DATA", help="For --measure: to train on.")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Compress for each that is left, and measure.")] = False,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of every recipe.")
    ] = None,
    float_latency_ms: Annotated[
        float | None, typer.Option(help="Median of the float model on that CPU, measured there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Rank the targets under constraints: why the first is the first, and what the others break."""
    from edgecompress.targets import load_profile, profile_names
    from edgecompress.targets.cpus import host_isa
    from edgecompress.targets.profile import overridden
    from edgecompress.targets.recommendation import recommend
    from edgecompress.targets.rules import Constraints, find_cpu_or_device

    isa, device = find_cpu_or_device(cpu) if cpu is not None else (None, None)
    constraints = Constraints(
        isa=isa,
        device=device,
        max_latency_ms=max_latency_ms,
        max_size_mb=max_size_mb,
        max_accuracy_drop=max_accuracy_drop,
        train_data=True if train is not None else train_data,
    )
    # One thread for all, so that the float model is measured as the artifacts are; limits no budget can have end here.
    own = ["cpu.threads=1", *(assignments or [])]
    recipe = override(Recipe(), [*own, *constraints.overrides])
    # A device, or another CPU than this one, has milliseconds of its own.
    foreign = cpu is not None and cpu != host_isa()
    budgets = constraints.budgets(float_latency_ms, foreign=foreign)
    given = {"calibration": calibration, "evaluation": evaluation, "train": train}
    data = {role: one for role, one in given.items() if one is not None}
    _check_given(model, weights, data, measure=measure)
    _check_latency(model, float_latency_ms)
    profiles = [overridden(load_profile(name), assignments or []) for name in profile_names()]
    measured: MeasuredFloat | None = None
    trials: dict[str, Trial] = {}
    with prints_aside(as_json):
        if model is not None:
            measured = _measure(model, weights, data["calibration"], recipe)
            if foreign or float_latency_ms is not None:
                measured = dataclasses.replace(measured, latency_ms=float_latency_ms)
        found = recommend(profiles, constraints, measured)
        if model is not None and measure:
            trials = _try(model, weights, data, found, [*own, *budgets])
    unknown = _unknown(cpu, max_latency_ms) if foreign and float_latency_ms is None else None
    if as_json:
        print_json({**_document(constraints, measured, found, trials), "not_known": unknown})
    else:
        _print_found(found, measured, max_latency_ms)
        if unknown is not None:
            console().print(f"\n{unknown}", style="yellow", highlight=False, markup=False)
        if found.ranked:
            command = _command(found.ranked[0].profile, [*(assignments or []), *budgets])
            console().print(f"\n{command}", highlight=False, markup=False, soft_wrap=True)
        _print_trials(found, measured, trials)
    return 0 if found.ranked else 1


def _unknown(cpu: str | None, limit: float | None) -> str | None:
    """What this machine cannot say of another CPU's latency."""
    if limit is None:
        return None
    return (
        f"Whether {limit:g} ms are kept on {cpu} cannot be known here: this machine's milliseconds say nothing of it,"
        " and predicted speeds are those of an x86 with VNNI."
        f" Time the float model there and give --float-latency-ms, or hold the bundle to it there: edgecompress"
        f" validate BUNDLE --max-latency-ms {limit:g}"
    )


def _check_latency(model: str | None, float_latency_ms: float | None) -> None:
    if float_latency_ms is None:
        return
    if model is None:
        raise InputError("--float-latency-ms is the latency of a model; give the model (--model) too")
    if not 0 < float_latency_ms < math.inf:
        raise InputError(f"--float-latency-ms is {float_latency_ms}; give milliseconds, above 0")


def _check_given(model: str | None, weights: str | None, data: Mapping[str, str], *, measure: bool) -> None:
    if model is None and (measure or weights or data.keys() - {"train"}):
        raise InputError("there is nothing to measure; give the model (--model) too")
    if model is not None and "calibration" not in data:
        raise DataError("the model is measured on calibration data; give --calibration")


def _measure(model: str, weights: str | None, calibration: str, recipe: Recipe) -> MeasuredFloat:
    """The float model, measured here."""
    from edgecompress.comparison.trials import measure_float
    from edgecompress.loading.models import load_model

    return measure_float(load_model(model, weights), calibration, recipe)


def _try(
    model: str, weights: str | None, data: Mapping[str, str], found: Recommendation, assignments: list[str]
) -> dict[str, Trial]:
    """A trial of each profile that is left, by its name."""
    from edgecompress.comparison.trials import try_profile
    from edgecompress.loading.models import load_model
    from edgecompress.progress import progress_for
    from edgecompress.targets.profile import overridden

    progress, trials = progress_for(Console(stderr=True)), {}
    for one in found.ranked:
        with progress.step(f"try {one.profile.name}"):
            profile = overridden(one.profile, assignments)
        trials[one.profile.name] = try_profile(load_model(model, weights), profile, data, progress)
    return trials


def _print_found(found: Recommendation, measured: MeasuredFloat | None, limit: float | None) -> None:
    out = console()
    if measured is not None:
        known = "its latency there is not known" if measured.latency_ms is None else milliseconds(measured.latency_ms)
        out.print(f"float model: {kilobytes(1e6 * measured.size_mb)}, {known}\n", highlight=False)
    for number, one in enumerate(found.ranked, 1):
        out.print(f"{number}. [bold]{one.profile.name}[/]: {one.profile.strategy}", highlight=False)
        out.print(f"   {one.reason}", highlight=False)
        if one.prediction is not None:
            out.print(f"   predicted: {_predicted(one.prediction)}", highlight=False)
            for line in _asks(one.prediction, limit):
                out.print(f"   {line}", highlight=False)
    if not found.ranked:
        broken = dict.fromkeys(one.constraint for one in found.rejected if one.constraint != "cpu")
        out.print(f"no target is left; loosen {' or '.join(broken)}", highlight=False)
    if found.rejected:
        out.print()
        rows = [[one.profile.name, one.constraint, one.why] for one in found.rejected]
        print_table(["rejected", "by", "why"], rows, left=3)


def _command(profile: TargetProfile, assignments: Sequence[str]) -> str:
    train = " --train DATA" if profile.recipe.trains else ""
    changes = "".join(f" --set {shlex.quote(assignment)}" for assignment in assignments)
    target = f"edgecompress compress MODEL --target {profile.name}"
    return f"{target} --calibration DATA --evaluation DATA{train}{changes}"


def _predicted(prediction: Prediction) -> str:
    return f"{kilobytes(1e6 * prediction.size_mb)}, {_time(prediction.latency_ms, prediction.speedup)}"


def _time(latency_ms: float | None, speedup: float) -> str:
    return f"{speedup:.2f}x the speed" if latency_ms is None else milliseconds(latency_ms)


def _asks(prediction: Prediction, limit: float | None) -> Iterator[str]:
    """What a limit asks of the float model, where its latency is not known."""
    if limit is not None and prediction.latency_ms is None:
        yield f"that is {limit:g} ms if the float model takes up to {milliseconds(limit * prediction.speedup)} there"


def _print_trials(found: Recommendation, measured: MeasuredFloat | None, trials: Mapping[str, Trial]) -> None:
    """Predicted beside measured; latency is that of the float model above over the speedup of the trial."""
    rows, failures = [], []
    for one in found.ranked:
        trial = trials.get(one.profile.name)
        if trial is None or measured is None:
            continue
        if trial.failure is not None:
            failures.append(f"{one.profile.name}: {trial.failure}")
            continue
        assert trial.size_mb is not None
        assert trial.speedup is not None
        predicted = _predicted(one.prediction) if one.prediction is not None else "-"
        latency_ms = None if measured.latency_ms is None else measured.latency_ms / trial.speedup
        reached = f"{kilobytes(1e6 * trial.size_mb)}, {_time(latency_ms, trial.speedup)}"
        drop = "-" if trial.accuracy_drop is None else f"{trial.accuracy_drop:.2f} points"
        rows.append([one.profile.name, predicted, reached, drop, _outcome(trial)])
    out = console()
    if rows:
        out.print()
        print_table(["target", "predicted", "measured", "drop", "outcome"], rows, left=5)
    for line in failures:
        out.print(line, style="red", highlight=False, markup=False)


def _outcome(trial: Trial) -> str:
    open_ = f"too noisy to say: {', '.join(trial.undecided)}" if trial.undecided else "within budget"
    return ", ".join(trial.missed) or open_


def _document(
    constraints: Constraints, measured: MeasuredFloat | None, found: Recommendation, trials: Mapping[str, Trial]
) -> dict[str, Any]:
    """All that was found, for ``--json``."""
    return {
        "constraints": dataclasses.asdict(constraints),
        "float": None if measured is None else dataclasses.asdict(measured),
        "ranked": [
            {
                **_head(one.profile),
                "decided_by": one.decided_by,
                "predicted": None if one.prediction is None else dataclasses.asdict(one.prediction),
                "measured": dataclasses.asdict(trials[one.profile.name]) if one.profile.name in trials else None,
            }
            for one in found.ranked
        ],
        "rejected": [{**_head(one.profile), "constraint": one.constraint, "why": one.why} for one in found.rejected],
    }


def _head(profile: TargetProfile) -> dict[str, str]:
    return {"target": profile.name, "strategy": profile.strategy, "reason": profile.reason}
