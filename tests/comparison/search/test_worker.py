"""A worker takes the trials of the dead, and leaves those of the living."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

pytest.importorskip("optuna")

import optuna

from edgecompress.comparison.digests import digest_row
from edgecompress.comparison.making import Material
from edgecompress.comparison.search.journal import lock_of_trial
from edgecompress.comparison.search.space import make_space
from edgecompress.comparison.search.storage import quietly
from edgecompress.comparison.search.study import open_study, read_study
from edgecompress.comparison.search.time_budget import TimedProgress
from edgecompress.comparison.search.trial import Measures
from edgecompress.comparison.search.worker import DIGITS, NoValuesError, Worker
from edgecompress.progress import Progress
from edgecompress.system.locks import owned
from edgecompress.targets import TargetProfile, effective_profile
from tests.comparison.search.conftest import QUICK
from tests.comparison.search.measures import measures
from tests.comparison.search.turns import Turns
from tests.networks import ConvNet, seeded

WORKER = "edgecompress.comparison.search.worker"
PARAMS = {"quantization.observer": "mse"}


@pytest.fixture
def study() -> Iterator[Any]:
    with quietly():
        yield open_study(optuna.storages.InMemoryStorage(), {"network": "a"}, seed=0)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    (tmp_path / "trials").mkdir()
    return Worker(
        material=Material(network=seeded(ConvNet), data={}),
        parts={"network": "a"},
        space=make_space(effective_profile("mobile", QUICK), ("calibration", "evaluation")),
        folder=tmp_path,
        progress=TimedProgress(Progress(), None),
        tell=lambda _: None,
        journal=tmp_path / "journal",
    )


def _begun(study: Any, folder: str) -> Any:
    """A trial that some worker has begun."""
    study.enqueue_trial(PARAMS)
    trial = study.ask()
    trial.suggest_categorical("quantization.observer", ("mse", "entropy"))
    trial.set_user_attr("folder", folder)
    return trial


def test_the_trial_of_a_dead_worker_is_queued_again(worker: Worker, study: Any) -> None:
    trial = _begun(study, "dead")
    worker.take_again(study)
    worker.take_again(study)
    states = [(found.number, found.state.name) for found in study.trials]
    assert states == [(trial.number, "FAIL"), (trial.number + 1, "WAITING")]
    assert study.trials[-1].system_attrs["fixed_params"] == PARAMS
    assert [place.name for place in worker.folder.rglob("*")] == ["trials"]


def test_the_trial_of_a_living_worker_is_left_to_it(worker: Worker, study: Any) -> None:
    _begun(study, "living")
    with owned(lock_of_trial(worker.folder / "journal", "living"), wait=False):
        worker.take_again(study)
    assert read_study(study).running == {"living"}
    assert [found.state.name for found in study.trials] == ["RUNNING"]


@pytest.mark.parametrize("outcome", ["measures", "failure"])
def test_a_trial_with_its_outcome_is_not_taken_from_who_tells_it(worker: Worker, study: Any, outcome: str) -> None:
    trial = _begun(study, "done")
    trial.set_user_attr(outcome, "known")
    worker.take_again(study)
    assert [found.state.name for found in study.trials] == ["RUNNING"]


def test_a_recipe_that_killed_two_processes_is_given_up(
    worker: Worker, study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def kill(*_: Any) -> None:
        started.append(1)
        raise KilledError

    started: list[int] = []
    # A process that is killed queues nothing and tells nothing: its trial goes on running, without a lock.
    monkeypatch.setattr(f"{WORKER}.make_bundle", kill)
    monkeypatch.setattr(f"{WORKER}._queued_again_if_interrupted", lambda *_: nullcontext())
    monkeypatch.setattr(optuna.study._optimize, "_run_trial", _without_a_word)
    study.enqueue_trial(worker.space.own())
    for _ in range(2):
        with suppress(KilledError):
            worker.run(study)
        worker.take_again(study)
    worker.run(study)
    assert len(started) == 2
    (failed,) = read_study(study).trials.values()
    assert failed.failure == "its process was killed twice, as one that needs too much memory is"


def _without_a_word(study: Any, objective: Any, *_: Any) -> None:
    trial = study.ask()
    with suppress(NoValuesError):
        study.tell(trial, objective(trial))


def test_a_recipe_that_another_worker_is_at_is_not_run_twice(
    worker: Worker, study: Any, runs: list[TargetProfile]
) -> None:
    worker.run(study)
    first = read_study(study).trials[0]
    study.enqueue_trial(dict(study.trials[0].params))
    with owned(lock_of_trial(worker.folder / "journal", first.folder), wait=False):
        worker.run(study)
    assert len(runs) == 1
    assert study.trials[1].user_attrs["same_as"] == first.folder
    assert study.trials[1].state.name == "FAIL"


@pytest.mark.parametrize(("begun", "times"), [("the same", 0), ("another", 1)])
def test_what_a_worker_with_a_folder_of_its_own_has_begun_is_not_begun_again(
    begun: str, times: int, worker: Worker, study: Any, runs: list[TargetProfile]
) -> None:
    params, name = (
        dict(worker.space.own()),
        digest_row(worker.space.profile_of(worker.space.own()).recipe, worker.parts),
    )
    study.enqueue_trial(params)
    study.ask().set_user_attr("folder", name[:DIGITS] if begun == "the same" else begun)
    study.enqueue_trial(params)
    replace(worker, journal=None).run(study)
    assert len(runs) == times
    assert study.trials[1].state.name == ("COMPLETE" if times else "FAIL")
    assert read_study(study).running == {name[:DIGITS] if begun == "the same" else begun}


def test_a_recipe_that_was_tried_is_known_and_not_run(worker: Worker, study: Any, runs: list[TargetProfile]) -> None:
    worker.run(study)
    study.enqueue_trial(dict(study.trials[0].params))
    worker.run(study)
    assert len(runs) == 1
    assert study.trials[1].values == study.trials[0].values
    assert read_study(study).trials.keys() == {0}


@dataclass(frozen=True, kw_only=True)
class Recorded(Worker):
    """A worker whose trials are only written down."""

    ran: list[str]

    def measured(self, profile: TargetProfile, name: str) -> Measures | str:
        self.ran.append(name)
        return measures()


@given(order=st.lists(st.integers(0, 1), max_size=60))
def test_two_workers_that_share_only_the_study_run_a_recipe_once(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever each says and asks between which words of the other, and whichever has the lower number."""
    storage = Turns()
    ran: list[str] = []
    with quietly():
        study = open_study(storage, {"network": "a"}, seed=0)
        workers = [_recorded(tmp_path_factory.mktemp("worker"), ran) for _ in range(2)]
        for worker in workers:
            study.enqueue_trial(worker.space.own())
        storage.run([functools.partial(worker.run, study) for worker in workers], order)
        while study.get_trials(states=(optuna.trial.TrialState.WAITING,)):
            workers[0].run(study)
    (trial,) = read_study(study).trials.values()
    assert ran == [trial.folder]


def _recorded(folder: Path, ran: list[str]) -> Recorded:
    (folder / "trials").mkdir()
    return Recorded(
        ran=ran,
        material=Material(network=nn.Identity(), data={}),
        parts={"network": "a"},
        space=make_space(effective_profile("mobile", QUICK), ("calibration", "evaluation")),
        folder=folder,
        progress=TimedProgress(Progress(), None),
        tell=lambda _: None,
    )
