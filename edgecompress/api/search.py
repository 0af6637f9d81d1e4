"""Search in Python: the recipes that no other one beats, for a model and a target."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from edgecompress.comparison.making import Material
from edgecompress.comparison.search.result import SearchResult
from edgecompress.comparison.search.search import search as search_recipes
from edgecompress.comparison.search.time_budget import seconds_of
from edgecompress.comparison.search.trial import SearchTrial
from edgecompress.errors import DataError
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy, MetricOrName, PostprocessOrName
from edgecompress.loading.models import given_model, name_of
from edgecompress.loading.sources import Data
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import Overrides, assignments, path, whole
from edgecompress.recipe.overrides import keys_of
from edgecompress.recipe.wording import in_python_words
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile, given_profile

TRIALS = 24
"""Where neither a number of trials nor a time is given."""


@in_python_words
def search(
    model: Network | str | Path,
    target: str | Path | TargetProfile,
    *,
    calibration: Data,
    evaluation: Data,
    train: Data | None = None,
    trials: int | None = None,
    budget_time: str | None = None,
    weights: str | Path | None = None,
    overrides: Overrides = (),
    output: str | Path | None = None,
    storage: str | Path | None = None,
    progress: Progress | None = None,
    tell: Callable[[SearchTrial], None] = lambda _: None,
    metric: MetricOrName | None = None,
    postprocess: PostprocessOrName | None = None,
    loss: LossOrName | None = None,
) -> SearchResult:
    """Search for the recipes around a target's that no other one beats in metric, latency and bytes at once.

    Every trial is a bundle in a folder of its own under ``output``, where ``study.journal`` holds the study and
    ``front.json`` what came of it. A search that was ended, or killed, goes on when it is started again with the same
    arguments; trials that were done are not run again. Needs the extra ``edgecompress[search]``.

    Args:
        model: a module, an exported program or an ONNX model, none of which is modified; or MODEL, as on the command
            line (``file.py:callable``, ``package.module:callable``, ``model.onnx``, ``model.pt2``).
        target: name of a profile, path of a TOML file, or a profile. Its budgets and its strategy choose among the
            trials, and its own recipe is the first of them.
        calibration: batches, as :func:`compress` takes them.
        evaluation: the same with labels, to measure on.
        train: the same with labels; without it no trial trains, and only what the target prunes itself is pruned.
        trials: how many the study is to have, those of runs before among them; by default 24 where there is no
            ``budget_time``, and no limit with it.
        budget_time: how long this run may last, as in ``2h``, ``90m`` or ``1h30m``; a trial that it ends comes first
            in the next run.
        weights: of a module that MODEL names: safetensors, or a state dict.
        overrides: for keys of the target's recipe, which stay so in every trial: ``KEY=VALUE`` in a list, or values by
            key in a dict.
        output: folder, made where there is none; by default ``<model>-search`` in the current folder.
        storage: of the study, which other processes and machines join with the same arguments: the path of a journal
            file, ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``; by default ``study.journal`` in the folder.
        progress: what is told of the progress; by default nobody.
        tell: told of every trial, as soon as it ended.
        metric: what decides in every trial, as :func:`compress` takes it.
        postprocess: what the outputs become before, as :func:`compress` takes it.
        loss: what training minimizes in trials that train, as :func:`compress` takes it.

    Returns:
        The trials, the numbers of those on the front, its knee, and the one that the target would take.

    Raises:
        RecipeError: Optuna is not installed; there is no such target or key, or an argument is of the wrong type; no
            technique is left, the time is too short for one trial, or all trials fail.
        ModelError: the model cannot be loaded, run or captured.
        DataError: the data is missing, does not fit, or has no labels.
        OutputError: the folder holds other things or a study of something else, or cannot be written.
    """
    if calibration is None or evaluation is None:
        raise DataError("trials are made with calibration data and measured with evaluation data; give both")
    seconds = None if budget_time is None else seconds_of(budget_time)
    wanted = None if trials is None else whole("trials", trials, 1, "give a whole number of at least 1")
    kept = storage if storage is None or isinstance(storage, str) else str(path("storage", storage))
    listed = assignments("overrides", overrides)
    profile = given_profile(target, listed)
    network = given_model(model, weights, progress)
    named = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
    data = {"calibration": calibration, "evaluation": evaluation} | ({} if train is None else {"train": train})
    folder = Path(f"{name_of(named or network)}-search") if output is None else path("output", output)
    number = TRIALS if wanted is None and seconds is None else wanted
    return search_recipes(
        Material(
            network=network,
            data=data,
            by=MeasuredBy(metric=metric, postprocess=postprocess, loss=loss),
            model=named,
            weights=weights,
        ),
        profile,
        fixed={*keys_of(listed)},
        trials=number,
        seconds=seconds,
        folder=folder,
        progress=progress or Progress(),
        tell=tell,
        storage=kept,
        asked=_asked(
            {"model": model, "target": target, **data, "weights": weights}
            | {"metric": metric, "postprocess": postprocess, "loss": loss},
            {"overrides": [*listed], "trials": number, "output": str(folder.absolute())},
        ),
    )


def _asked(named: Mapping[str, object], others: Mapping[str, object]) -> dict[str, object] | None:
    """The arguments as another process can give them; None where one is an object and has no name."""
    given = {key: value for key, value in named.items() if value is not None}
    if not all(isinstance(value, (str, os.PathLike)) for value in given.values()):
        return None
    return {**{key: os.fspath(value) for key, value in given.items()}, **others}  # type: ignore[call-overload]
