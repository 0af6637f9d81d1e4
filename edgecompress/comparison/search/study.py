"""The study: what Optuna keeps of a search, in the words of this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgecompress.comparison.search.space import FreeKey, Setting
from edgecompress.comparison.search.storage import no_study
from edgecompress.comparison.search.trial import Measures, SearchTrial
from edgecompress.errors import OutputError

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

NAME = "edgecompress"
DIED = "died"
"""Attribute of a study: how often a process ended without a word, by the folder of the trial that it was at."""
MADE_OF = "made_of"
"""Attribute of a study: the digests of what its trials are made of, by what they are of."""
FOLDER, SETTINGS, SECONDS, MEASURES, FAILURE, SAME_AS = (
    "folder",
    "settings",
    "seconds",
    "measures",
    "failure",
    "same_as",
)
"""Attributes of a trial."""
ASKED = "asked"
"""Attribute of a study: the arguments of the command that began it, by name."""
OBJECTIVES = ("metric drop", "latency", "bytes")
CALLED = {
    "network": "another model",
    "recipe": "another recipe (--target, --set)",
    "version": "another version of edgecompress",
    **{role: f"other {role} data" for role in ("calibration", "evaluation", "train")},
}
"""What a digest is of, where its key is no word for it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a study holds: the trials that ended, by number, and the folders of those that run."""

    trials: Mapping[int, SearchTrial] = field(default_factory=dict)
    running: frozenset[str] = frozenset()

    @property
    def measured(self) -> dict[int, Measures]:
        """The measures of trials with a bundle, by number."""
        return {number: trial.measures for number, trial in self.trials.items() if trial.measures is not None}

    def at(self, folder: str) -> SearchTrial | None:
        """The trial with that folder, and so with that recipe; None where it was not tried."""
        return next((trial for trial in self.trials.values() if trial.folder == folder), None)


def open_study(
    storage: BaseStorage, made_of: Mapping[str, str], seed: int, asked: Mapping[str, Any] | None = None
) -> optuna.Study:
    """The study in a storage, which is made where there is none.

    Args:
        storage: of Optuna's.
        made_of: digests of what the trials are made of, by what they are of.
        seed: of the sampler.
        asked: the arguments of the command, for those who join; None where some are objects.

    Raises:
        OutputError: the study is of something else.
    """
    import optuna

    study = optuna.create_study(
        study_name=NAME, storage=storage, directions=["minimize"] * 3, load_if_exists=True, sampler=_sampler(seed, 0)
    )
    if not study.user_attrs.get(MADE_OF):
        study.set_metric_names(list(OBJECTIVES))
        if asked is not None:
            study.set_user_attr(ASKED, dict(asked))
        study.set_user_attr(MADE_OF, dict(made_of))
    require_same(study.user_attrs[MADE_OF], made_of)
    return study


def draw_for(study: optuna.Study, trial: optuna.Trial, seed: int) -> None:
    """Let a trial draw by its number: workers that begin at once, and runs that go on, would else draw alike."""
    study.sampler = _sampler(seed, trial.number)


def _sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    import optuna

    (own,) = np.random.SeedSequence([seed, number]).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(own))


def asked_of(storage: BaseStorage, told: str) -> Mapping[str, Any]:
    """The arguments of the command that began the study in a storage.

    Args:
        storage: of Optuna's.
        told: the storage in messages.

    Raises:
        OutputError: there is no study, or it was begun in Python with objects that have no names.
    """
    import optuna

    try:
        study = optuna.load_study(study_name=NAME, storage=storage)
    except KeyError:
        raise no_study(told) from None
    asked: Mapping[str, Any] | None = study.user_attrs.get(ASKED)
    if asked is None:
        raise OutputError(
            f"the study in {told!r} was begun in Python; join it there, with edgecompress.search and its storage"
        )
    return asked


def require_same(found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """See that a study is made of what is given.

    Raises:
        OutputError: it is of something else, which is named.
    """
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            told = CALLED.get(key, f"another {key.removesuffix('_state')}")
            raise OutputError(f"the study is of {told}; choose another --output or --storage")


def read_study(study: optuna.Study) -> Known:
    """What the study holds now."""
    import optuna

    trials = study.get_trials(deepcopy=False)
    ended = {trial.number: _read(trial.number, trial.user_attrs) for trial in trials if has_ended(trial.user_attrs)}
    running = optuna.trial.TrialState.RUNNING
    alive = [trial.user_attrs for trial in trials if trial.state == running and not has_ended(trial.user_attrs)]
    folders = [attributes.get(FOLDER) for attributes in alive]
    return Known(trials=ended, running=frozenset(folder for folder in folders if folder is not None))


def pick(trial: optuna.Trial, choice: FreeKey) -> Setting:
    """The value of a choice that Optuna suggests."""
    step = choice.step
    if step is None:
        return cast(Setting, trial.suggest_categorical(choice.key, choice.values))
    least, most = float(choice.values[0]), float(choice.values[-1])
    value: float = round(trial.suggest_float(choice.key, least, most, step=step), 6)
    return value


def has_ended(attributes: Mapping[str, Any]) -> bool:
    """Whether a trial has its outcome, though Optuna may not have heard of it yet."""
    return (MEASURES in attributes or FAILURE in attributes) and SAME_AS not in attributes


def _read(number: int, attributes: Mapping[str, Any]) -> SearchTrial:
    measures = attributes.get(MEASURES)
    return SearchTrial(
        number=number,
        settings=attributes[SETTINGS],
        folder=attributes[FOLDER],
        seconds=attributes[SECONDS],
        measures=None if measures is None else Measures.read(measures),
        failure=attributes.get(FAILURE),
    )
