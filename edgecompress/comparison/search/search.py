"""The search: a study of recipes around a target's, until so many were tried or the time is over."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from edgecompress.bundle.manifest import canonical
from edgecompress.comparison.making import Identity, Material, identify, kept_on
from edgecompress.comparison.search.feasibility import can_shrink, require_room
from edgecompress.comparison.search.page import render_front
from edgecompress.comparison.search.result import SearchResult, result_of
from edgecompress.comparison.search.space import Space, make_space
from edgecompress.comparison.search.storage import (
    JOURNAL,
    SEPARATOR,
    check_storage,
    is_journal,
    open_storage,
    quietly,
    reached,
    require_optuna,
    require_there,
)
from edgecompress.comparison.search.study import Known, asked_of, open_study, read_study
from edgecompress.comparison.search.time_budget import OutOfTimeError, TimedProgress
from edgecompress.comparison.search.trial import TRIALS, SearchTrial
from edgecompress.comparison.search.worker import Worker
from edgecompress.errors import DataError, OutputError, RecipeError, plural
from edgecompress.exporters.finish import compact
from edgecompress.pipeline.fold import float_original
from edgecompress.progress import Progress
from edgecompress.recipe.toml import recipe_tables
from edgecompress.system.durable import write_whole
from edgecompress.targets import TargetProfile
from edgecompress.units import duration

if TYPE_CHECKING:
    import optuna

FRONT, PAGE = "front.json", "front.html"
DATABASE = "study.db"
"""As the documentation calls a study in SQLite."""
SAME_IN_A_ROW = 50
"""Suggestions that were all tried before, after which the space counts as searched through."""
POLL_SECONDS = 2.0
"""Between two looks at the trials of other workers."""
FIRST_FAILURES = 5
"""Trials that all failed, after which the rest would fail, too."""


def search(
    material: Material,
    profile: TargetProfile,
    *,
    fixed: Collection[str] = (),
    trials: int | None,
    seconds: float | None,
    folder: Path,
    progress: Progress,
    tell: Callable[[SearchTrial], None] = lambda _: None,
    storage: str | None = None,
    asked: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Search for recipes that no other one beats, and keep all that was tried.

    The errors are those of :func:`edgecompress.search`, which loads the model and names the folder.

    Args:
        material: the model and its data.
        profile: the target.
        fixed: keys that the user set, which stay as they are.
        trials: how many there are to be in the study; None for no end.
        seconds: how long this run may last; None for no end.
        folder: of the bundles, and of the study where there is no ``storage``.
        progress: told of every step.
        tell: told of every trial that ended.
        storage: of a study that others may join.
        asked: the arguments of the command, for those who join; None where some are objects.
    """
    start = time.monotonic()
    require_optuna()
    check_storage(storage or "")
    profile = material.named_in(profile)
    space = make_space(profile, material.data, module=isinstance(material.network, nn.Module), fixed=fixed)
    _require_techniques(space)
    prepare_folder(folder, storage)
    found = identify(material, space.profile.recipe, progress, profile.asked)
    _require_labels(found)
    _require_possible(space, found)
    timed = TimedProgress(progress, None if seconds is None else start + seconds)
    url = storage or str(folder / JOURNAL)
    with quietly(), reached(url):
        opened = open_storage(url)
        study = open_study(opened, _made_of(found.parts, space), profile.recipe.seed, asked)
        worker = Worker(
            material=material,
            parts=found.parts,
            space=space,
            folder=folder,
            progress=timed,
            tell=tell,
            journal=Path(url).absolute() if is_journal(url) else None,
            kept=kept_on(found, progress),
        )
        with suppress(OutOfTimeError):
            run_trials(study, worker, trials)
        known = read_study(study)
    if seconds is not None and not known.trials:
        raise RecipeError(
            f"a time budget of {duration(seconds)} is too short for one trial; give more (--budget-time), and what was"
            " begun goes on"
        )
    result = _with_command(result_of(known, folder, space.profile), space, material)
    write_whole(folder / FRONT, canonical(result.document()))
    write_whole(folder / PAGE, render_front(result).encode())
    return result


def _with_command(found: SearchResult, space: Space, material: Material) -> SearchResult:
    """The same with the command that makes the chosen trial again, where its recipe is in the folder."""
    if found.chosen is None or found.report(trial := found.trial(found.chosen)) is None:
        return found
    made_of = material.for_recipe(space.profile_of(trial.settings).recipe)
    return replace(found, command=made_of.command_for(found.folder / TRIALS / trial.folder))


def begun_with(url: str) -> Mapping[str, Any]:
    """The arguments of the command that began a study, by name.

    Args:
        url: of its storage.

    Raises:
        RecipeError: Optuna is not installed, or it is no URL of a storage.
        OutputError: there is no study, it cannot be reached, or it was begun in Python with objects.
    """
    require_optuna()
    require_there(check_storage(url))
    with quietly(), reached(url):
        return asked_of(open_storage(url), url)


def run_trials(study: optuna.Study, worker: Worker, trials: int | None) -> None:
    """Run trials until there are enough, beginning with the target's own recipe and those around it.

    Args:
        study: of the trials.
        worker: runs them.
        trials: how many there are to be in the study; None for no end.

    Raises:
        OutOfTimeError: the time of the worker is over.
    """
    asked = {choice.key for choice in worker.space.free if len(choice.values) > 1}
    for settings in worker.space.starts():
        study.enqueue_trial({key: value for key, value in settings.items() if key in asked}, skip_if_exists=True)
    same = 0
    while True:
        worker.progress.require_time()
        worker.take_again(study)
        before = read_study(study)
        _require_some(before)
        enough = trials is not None and len(before.trials) + len(before.running) >= trials
        if enough or same >= SAME_IN_A_ROW:
            if not before.running:
                return
            with worker.progress.step(f"waiting for {plural(len(before.running), 'trial')} of other workers"):
                time.sleep(POLL_SECONDS)  # one of them may die, and its trial is to be taken then
            continue
        worker.run(study)
        same = same + 1 if len(read_study(study).trials) == len(before.trials) else 0


def prepare_folder(folder: Path, storage: str | None = None) -> None:
    """Make the folder of a search, or see that all in it is of one; a folder that is refused is left as it was.

    Args:
        folder: of the search.
        storage: of the study, whose file may lie in the folder.

    Raises:
        OutputError: it holds other things, or cannot be made or read.
    """
    files = "|".join(re.escape(name) for name in (JOURNAL, DATABASE, *_stored_in(folder, storage)))
    ours = re.compile(rf"({files})(\..*|-(journal|wal|shm))?|{TRIALS}|\.?front\.(json|html)(\.partial)?")
    try:
        found = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
        strange = [name for name in found if not ours.fullmatch(name)]
        if strange:
            raise OutputError(
                f"{str(folder)!r} holds other things, {strange[0]!r} for one; choose an empty folder (--output)"
            )
        (folder / TRIALS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{str(folder)!r} cannot be used: {error.strerror}; choose another --output") from error


def _stored_in(folder: Path, storage: str | None) -> list[str]:
    """The name of the file of a storage, where it lies in a folder."""
    scheme, separator, rest = (storage or "").rpartition(SEPARATOR)
    if not rest or (separator and not scheme.startswith("sqlite")):
        return []
    file = Path(rest.partition("?")[0].removeprefix("/") if separator else rest)
    return [file.name] if file.resolve().parent == folder.resolve() else []


def _made_of(parts: Mapping[str, str], space: Space) -> dict[str, str]:
    """Digests of all that a study is of."""
    choices = [{**asdict(choice), "when": dict(choice.when)} for choice in space.free]
    recipe = canonical({"recipe": recipe_tables(space.profile.recipe), "choices": choices})
    return {**parts, "recipe": hashlib.sha256(recipe).hexdigest(), "version": metadata.version("edgecompress")}


def _require_labels(found: Identity) -> None:
    evaluation = found.opened.batches.get("evaluation")
    if evaluation is None or evaluation.first().labels is None:
        raise DataError("a search compares recipes by the metric; give data with labels (--evaluation)")


def _require_possible(space: Space, found: Identity) -> None:
    budgets = space.profile.recipe.budgets
    if can_shrink(space) or (budgets.max_size_mb is None and budgets.min_compression_ratio is None):
        return
    original = float_original(found.opened.network, found.opened.recipe, found.example)
    require_room(space, original, len(compact(original)))


def _require_techniques(space: Space) -> None:
    """See that a recipe of the space does something to the model."""
    bold = space.settings(lambda choice: choice.values[0])
    if not any(space.profile_of(settings).recipe.techniques for settings in (bold, space.own())):
        raise RecipeError(
            f"no technique is left for target {space.profile.name!r}; give training data (--train), or set"
            " quantization.enabled=true"
        )


def _require_some(known: Known) -> None:
    if len(known.trials) >= FIRST_FAILURES and not known.measured:
        last = known.trials[max(known.trials)]
        raise RecipeError(f"the first {plural(len(known.trials), 'trial')} failed; the last one: {last.failure}")
