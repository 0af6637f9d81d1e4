"""``edgecompress targets recommend``."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.compress import Assignments, Data, Loss, Metric, Postprocess, Weights
from edgecompress.cli.tables import console, print_json, print_table, prints_aside
from edgecompress.units import kilobytes, milliseconds

if TYPE_CHECKING:
    from edgecompress.api.recommend import Advice
    from edgecompress.comparison.trials import Trial
    from edgecompress.targets import TargetProfile
    from edgecompress.targets.effects import MeasuredFloat, Prediction
    from edgecompress.targets.recommendation import Recommendation

WIDTH, INDENT = 80, "   "
MODEL, DATA = "MODEL", "DATA"
"""What stands in a command for what was not given."""


def run(
    cpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.devices,
            help="A CPU, a family of CPUs, or a device: phone, jetson, raspberry pi 5, avx2, zen3 and others.",
        ),
    ] = None,
    max_latency_ms: Annotated[float | None, typer.Option(metavar="MS", help="Median for one sample.")] = None,
    max_size_mb: Annotated[
        float | None, typer.Option(metavar="MB", help="Megabytes of the artifact (10^6 bytes).")
    ] = None,
    max_accuracy_drop: Annotated[float | None, typer.Option(metavar="PP", help="Percentage points.")] = None,
    train_data: Annotated[
        bool | None, typer.Option("--train-data/--no-train-data", help="Whether there is data to train on.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Predict for it; needs --calibration.")] = None,
    weights: Weights = None,
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help=Data)] = None,
    evaluation: Annotated[str | None, typer.Option(metavar="DATA", help="For --measure: with labels.")] = None,
    train: Annotated[str | None, typer.Option(metavar="DATA", help="For --measure: to train on.")] = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    loss: Loss = None,
    measure: Annotated[bool, typer.Option("--measure", help="Compress for each that is left, and measure.")] = False,
    assignments: Assignments = None,
    float_latency_ms: Annotated[
        float | None, typer.Option(metavar="MS", help="Median of the float model on that CPU, measured there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Rank the targets under constraints: why the first is the first, and what the others break."""
    from edgecompress.api.recommend import recommend
    from edgecompress.progress import progress_for
    from edgecompress.recipe.wording import in_options

    with prints_aside(as_json):
        advice = in_options(recommend)(
            cpu=cpu,
            max_latency_ms=max_latency_ms,
            max_size_mb=max_size_mb,
            max_accuracy_drop=max_accuracy_drop,
            train_data=train_data,
            model=model,
            weights=weights,
            calibration=calibration,
            evaluation=evaluation,
            train=train,
            measure=measure,
            overrides=assignments or [],
            float_latency_ms=float_latency_ms,
            progress=progress_for(Console(stderr=True)),
            metric=metric,
            postprocess=postprocess,
            loss=loss,
        )
    if as_json:
        print_json(advice.document())
    else:
        given = {
            "weights": weights,
            "calibration": calibration or DATA,
            "evaluation": evaluation or DATA,
            "train": train,
            "metric": metric,
            "postprocess": postprocess,
            "loss": loss,
        }
        _print_advice(advice, model or MODEL, given)
    return 0 if advice.best else 1


def _print_advice(advice: Advice, model: str, given: Mapping[str, str | None]) -> None:
    _print_found(advice)
    if advice.because is not None:
        console().print(f"\n{advice.because}", highlight=False, markup=False)
    if advice.not_known is not None:
        console().print(f"\n{advice.not_known}", style="yellow", highlight=False, markup=False)
    if advice.with_training is not None:
        told = f"\nIs there data to train on? With --train-data, {advice.with_training} comes first."
        console().print(told, style="yellow", highlight=False, markup=False)
    if advice.best is not None:
        words = _command(advice.best, model, given, advice.overrides)
        if told := " ".join(_placeholders(words)):
            console().print(f"\n{textwrap.fill(told, WIDTH)}", highlight=False, markup=False)
        console().print(f"\n{shlex.join(words)}", highlight=False, markup=False, soft_wrap=True)
    _print_trials(advice.found, advice.measured, advice.trials)


def _print_found(advice: Advice) -> None:
    out, found, measured = console(), advice.found, advice.measured
    if measured is not None:
        known = (
            "its latency there is not known (give --float-latency-ms)"
            if measured.latency_ms is None
            else milliseconds(measured.latency_ms)
        )
        out.print(f"float model: {kilobytes(1e6 * measured.size_mb)}, {known}\n", highlight=False)
    for number, choice in enumerate(found.ranked, 1):
        out.print(f"{number}. [bold]{choice.profile.name}[/]: {choice.profile.strategy}", highlight=False)
        reason = textwrap.fill(choice.reason, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
        out.print(reason, highlight=False, markup=False)
        if choice.prediction is not None:
            out.print(f"   predicted: {_predicted(choice.prediction)}", highlight=False)
            for line in _asks(choice.prediction, advice.constraints.max_latency_ms):
                out.print(f"   {line}", highlight=False)
        for name, why in choice.uncertain.items():
            more = "" if choice.profile.name in advice.trials else "; --measure tells more"
            told = textwrap.fill(
                f"{name} is uncertain: {why}{more}", WIDTH, initial_indent=INDENT, subsequent_indent=INDENT
            )
            out.print(told, style="yellow", highlight=False, markup=False)
    if not found.ranked:
        broken = dict.fromkeys(rejection.constraint for rejection in found.rejected if rejection.constraint != "cpu")
        even = ", even where predictions err" if any(rejection.prediction for rejection in found.rejected) else ""
        out.print(f"no target is left{even}; loosen {' or '.join(broken)}", highlight=False)
    if found.rejected:
        out.print()
        rows = [[rejection.profile.name, rejection.constraint, rejection.why] for rejection in found.rejected]
        print_table(["rejected", "by", "why"], rows, left=3)


def _command(
    profile: TargetProfile, model: str, given: Mapping[str, str | None], assignments: Sequence[str]
) -> list[str]:
    """The words to type for a target, with the model and the data that were given."""
    options = {**given, "train": (given["train"] or DATA) if profile.recipe.trains else None}
    words = ["edgecompress", "compress", model, "--target", profile.name]
    words += [word for name, value in options.items() if value is not None for word in (f"--{name}", value)]
    return words + [word for assignment in assignments for word in ("--set", assignment)]


def _placeholders(words: Sequence[str]) -> Iterator[str]:
    """What the user has to put in the place of words of a command."""
    if MODEL in words:
        yield f"{MODEL} is your network: file.py:callable, or model.onnx."
    unfilled = [option for option, value in pairwise(words) if value == DATA]
    if unfilled:
        yield f"{DATA} is file.py:callable, a folder of pictures or an .npz file."
        labelled = [option for option in unfilled if option != "--calibration"]
        if labelled:
            yield f"That of {' and '.join(labelled)} has labels."
        if "--evaluation" in labelled:
            yield "Without --evaluation, accuracy is not measured."


def _predicted(prediction: Prediction) -> str:
    return f"{kilobytes(1e6 * prediction.size_mb)}, {_time(prediction.latency_ms, prediction.speedup)}"


def _time(latency_ms: float | None, speedup: float) -> str:
    return f"{speedup:.2f}x the speed" if latency_ms is None else milliseconds(latency_ms)


def _asks(prediction: Prediction, limit: float | None) -> Iterator[str]:
    """What a limit asks of the float model, where its latency is not known."""
    if limit is not None and prediction.latency_ms is None:
        yield f"that is {limit:g} ms if the float model takes up to {milliseconds(limit * prediction.speedup)} there"


def _print_trials(found: Recommendation, measured: MeasuredFloat | None, trials: Mapping[str, Trial]) -> None:
    """Predicted and measured; latency is that of the float model above over the speedup of the trial."""
    rows, failures = [], []
    for choice in found.ranked:
        trial = trials.get(choice.profile.name)
        if trial is None or measured is None:
            continue
        if trial.failure is not None:
            failures.append(f"{choice.profile.name}: {trial.failure}")
            continue
        assert trial.size_mb is not None
        assert trial.speedup is not None
        predicted = _predicted(choice.prediction) if choice.prediction is not None else "-"
        latency_ms = None if measured.latency_ms is None else measured.latency_ms / trial.speedup
        reached = f"{kilobytes(1e6 * trial.size_mb)}, {_time(latency_ms, trial.speedup)}"
        rows.append([choice.profile.name, predicted, reached, trial.drop_in_words, _outcome(trial)])
    out = console()
    if rows:
        out.print()
        print_table(["target", "predicted", "measured", "drop", "outcome"], rows, left=5)
    for line in failures:
        out.print(line, style="red", highlight=False, markup=False)


def _outcome(trial: Trial) -> str:
    open_ = f"too noisy to say: {', '.join(trial.undecided)}" if trial.undecided else "within budget"
    return ", ".join(trial.missed) or open_
