"""A worker of a study: one trial after another, each a recipe, a run and a bundle; those of dead workers come again."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.comparison.digests import digest_row
from edgecompress.comparison.making import Material, make_bundle
from edgecompress.comparison.rows import title_of
from edgecompress.comparison.search.journal import lock_of_trial
from edgecompress.comparison.search.space import Setting, Space
from edgecompress.comparison.search.storage import DEATHS
from edgecompress.comparison.search.study import (
    DIED,
    FAILURE,
    FOLDER,
    MEASURES,
    SAME_AS,
    SECONDS,
    SETTINGS,
    draw_for,
    has_ended,
    pick,
    read_study,
)
from edgecompress.comparison.search.time_budget import TimedProgress
from edgecompress.comparison.search.trial import TRIALS, Measures, SearchTrial
from edgecompress.errors import EdgecompressError, OutputError, first_line
from edgecompress.system.locks import owned
from edgecompress.targets import TargetProfile
from edgecompress.techniques.kept import Kept

if TYPE_CHECKING:
    import optuna

DIGITS = 12
"""Of the digest that names a bundle's folder: of all that it is made of, so that equal recipes are one trial."""


TWICE = "its process was killed twice, as one that needs too much memory is"


class NoValuesError(Exception):
    """A trial that failed, or that another worker is at: Optuna gets no values of it."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What runs the trials of a search in this process.

    Attributes:
        material: the model and its data.
        parts: digests of these.
        space: the recipes.
        folder: of the search.
        progress: told of every step, and ends the work when its time is over.
        tell: told of every trial that ended.
        journal: of the study, whose locks say which workers live; None where a database keeps it.
        kept: what trials on the same material keep for each other; None where nothing is.
    """

    material: Material
    parts: Mapping[str, str]
    space: Space
    folder: Path
    progress: TimedProgress
    tell: Callable[[SearchTrial], None]
    journal: Path | None = None
    kept: Kept | None = None

    @property
    def seed(self) -> int:
        """Of what is drawn: that of the target's recipe."""
        return self.space.profile.recipe.seed

    def run(self, study: optuna.Study) -> None:
        """Run the next trial; one that fails is kept with its reason, one that is interrupted is queued again.

        Raises:
            OutputError: the bundle cannot be written.
            OutOfTimeError: the time is over.
        """
        study.optimize(functools.partial(self._objective, study), n_trials=1, catch=(NoValuesError,))

    def take_again(self, study: optuna.Study) -> None:
        """Queue the trials again whose workers died: nobody has their locks, or their hearts no longer beat."""
        import optuna

        optuna.storages.fail_stale_trials(study)
        for trial in _running(study) if self.journal is not None else []:
            name = trial.user_attrs[FOLDER]
            with suppress(BlockingIOError), self._owned(name):
                if trial.number in {other.number for other in _running(study)}:
                    deaths: dict[str, int] = study.user_attrs.get(DIED, {})
                    study.set_user_attr(DIED, {**deaths, name: deaths.get(name, 0) + 1})
                    _queue_again(study, trial.params)
                    _end(study, trial.number)

    def _objective(self, study: optuna.Study, trial: optuna.Trial) -> tuple[float, float, float]:
        draw_for(study, trial, self.seed)
        settings = self.space.settings(functools.partial(pick, trial))
        profile = self.space.profile_of(settings)
        name = digest_row(profile.recipe, self.parts)[:DIGITS]
        try:
            with self._owned(name):
                trial.set_user_attr(SETTINGS, dict(settings))
                trial.set_user_attr(FOLDER, name)  # from here on others look for the lock, and give way
                return self._found(study, trial, name) or self._tried(study, trial, name, profile, settings)
        except BlockingIOError:
            trial.set_user_attr(SAME_AS, name)
            raise NoValuesError from None

    def _found(self, study: optuna.Study, trial: optuna.Trial, name: str) -> tuple[float, float, float] | None:
        """What a trial of the same recipe measured; None where there is none, and this one is to run.

        Workers with folders of their own share no lock, only the study. Each says first which recipe it is at and then
        looks at the others: of two, the one that looks last sees the other and gives way. Where both do, the recipe is
        queued once more.
        """
        at_it = [other.number for other in _running(study) if other.user_attrs[FOLDER] == name]
        others = [number for number in at_it if number != trial.number]
        before = read_study(study).at(name)  # read last: a trial that ends in between is in both
        if before is None and not others:
            return None
        trial.set_user_attr(SAME_AS, name)
        if before is not None and before.measures is not None:
            return before.measures.objectives
        if before is None and trial.number < min(others):
            _queue_again(study, trial.params)
        raise NoValuesError

    def _tried(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        name: str,
        profile: TargetProfile,
        settings: Mapping[str, Setting],
    ) -> tuple[float, float, float]:
        start = time.monotonic()
        with _queued_again_if_interrupted(study, trial):
            self.progress.require_time()
            given_up = study.user_attrs.get(DIED, {}).get(name, 0) >= DEATHS
            result = TWICE if given_up else self.measured(profile, name)
        seconds = time.monotonic() - start
        trial.set_user_attr(SECONDS, seconds)
        done = SearchTrial(number=trial.number, settings=settings, folder=name, seconds=seconds)
        if isinstance(result, str):
            trial.set_user_attr(FAILURE, result)
            self.tell(replace(done, failure=result))
            raise NoValuesError
        trial.set_user_attr(MEASURES, asdict(result))
        self.tell(replace(done, measures=result))
        return result.objectives

    def measured(self, profile: TargetProfile, name: str) -> Measures | str:
        """What the bundle measured, or in a line why there is none."""
        try:
            output = self.folder / TRIALS / name
            bundle = _whole(output) or make_bundle(self.material, profile, output, self.progress, self.kept)
            measures = Measures.of(bundle.manifest, title_of(profile.recipe))
        except OutputError:
            raise
        except EdgecompressError as error:
            return str(error)
        except Exception as error:
            return f"internal failure: {type(error).__name__}: {first_line(error)}"
        return measures if all(map(math.isfinite, measures.objectives)) else "the metric is no finite number"

    @contextmanager
    def _owned(self, name: str) -> Iterator[None]:
        """A recipe only for this worker; the kernel lets go of it when the worker dies."""
        own = self.folder / TRIALS / f".{name}.lock"
        place = own if self.journal is None else lock_of_trial(self.journal, name)
        with owned(place, wait=False):
            try:
                yield
            finally:
                place.unlink(missing_ok=True)


def _whole(folder: Path) -> Bundle | None:
    """The bundle that a worker wrote before it died."""
    try:
        return read_bundle(folder)
    except OutputError:
        return None


def _running(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that have begun, and not ended."""
    import optuna

    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    begun = [trial for trial in running if FOLDER in trial.user_attrs and SAME_AS not in trial.user_attrs]
    return [trial for trial in begun if not has_ended(trial.user_attrs)]


@contextmanager
def _queued_again_if_interrupted(study: optuna.Study, trial: optuna.Trial) -> Iterator[None]:
    """What ends the run, and not only the trial, leaves its settings in the queue of the study."""
    try:
        yield
    except BaseException as error:
        _queue_again(study, trial.params)
        if not isinstance(error, (Exception, KeyboardInterrupt)):  # of those Optuna takes note itself
            _end(study, trial.number)
        raise


def _queue_again(study: optuna.Study, params: Mapping[str, Setting]) -> None:
    study.enqueue_trial(dict(params))


def _end(study: optuna.Study, number: int) -> None:
    import optuna

    study.tell(number, state=optuna.trial.TrialState.FAIL)
