"""A search runs until it has what it was asked for, goes on where it was, and keeps its failures."""

from __future__ import annotations

import importlib
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgecompress.bundle.reading import Bundle, read_bundle
from edgecompress.comparison.making import Material
from edgecompress.comparison.search.journal import lock_of_trial, open_journal
from edgecompress.comparison.search.result import SearchResult
from edgecompress.comparison.search.search import POLL_SECONDS, begun_with, prepare_folder, search
from edgecompress.comparison.search.storage import JOURNAL, open_storage, quietly
from edgecompress.comparison.search.study import NAME
from edgecompress.errors import DataError, OutputError, ParityError, RecipeError
from edgecompress.progress import Progress
from edgecompress.system.locks import owned
from edgecompress.targets import TargetProfile, effective_profile
from tests.comparison.search.conftest import QUICK
from tests.networks import ConvNet, images, seeded

pytest.importorskip("optuna")
DATA: dict[str, Any] = {"calibration": images(seed=1), "evaluation": images(seed=2)}
FEW = (
    *("quantization.observer=min_max", "quantization.equalization=false", "quantization.bias_correction=false"),
    "quantization.exact_layers=0",
)
"""Leave a space of 16 recipes: granularity, rounding, and what the integers mean."""


def _search(folder: Path, *overrides: str, seed: int = 0, **given: Any) -> SearchResult:
    listed = (*QUICK, *overrides)
    network = seeded(ConvNet, seed)
    arguments = {"trials": 4, "seconds": None, "progress": Progress(), **given}
    data = {**DATA, **arguments.pop("data", {})}
    return search(
        Material(network=network, data=data),
        effective_profile("mobile", listed),
        fixed={assignment.partition("=")[0] for assignment in listed},
        folder=folder,
        **arguments,
    )


def _interrupting(monkeypatch: pytest.MonkeyPatch, error: BaseException, at: int, runs: list[Any]) -> None:
    """Let the run at a place end in an error, after what it had begun is there."""
    worker = importlib.import_module("edgecompress.comparison.search.worker")
    make: Callable[..., Bundle] = worker.make_bundle

    def interrupted(*given: Any) -> Bundle:
        made = make(*given)
        if len(runs) == at:
            for file in made.path.iterdir():
                file.unlink()
            made.path.rmdir()
            raise error
        return made

    monkeypatch.setattr(worker, "make_bundle", interrupted)


def test_it_has_as_many_trials_as_it_was_asked_for_the_targets_own_first(
    tmp_path: Path, runs: list[TargetProfile]
) -> None:
    told: list[int] = []
    found = _search(tmp_path / "out", tell=lambda trial: told.append(trial.number))
    assert len(found.trials) == len(runs) == len(told) == 4
    assert runs[0].recipe.quantization == effective_profile("mobile", QUICK).recipe.quantization
    assert len({profile.recipe.model_dump_json() for profile in runs}) == 4
    for trial in found.trials:
        read_bundle(tmp_path / "out" / "trials" / trial.folder)
    written = json.loads((tmp_path / "out" / "front.json").read_text())
    assert written == json.loads(json.dumps(found.document()))
    assert not [*(tmp_path / "out" / "trials").glob(".*")]


def test_it_begins_with_the_recipes_around_the_targets_own_and_tries_each_once(
    tmp_path: Path, runs: list[TargetProfile]
) -> None:
    train = {"train": images(seed=3)}
    _search(tmp_path / "out", data=train, trials=2)
    _search(tmp_path / "out", data=train, trials=7)
    taken = [
        (profile.recipe.pruning.enabled and profile.recipe.pruning.amount)
        or (profile.recipe.low_rank.enabled and -profile.recipe.low_rank.amount)
        for profile in runs
    ]
    assert taken[:5] == [False, 0.4, -0.4, 0.1, -0.1]
    assert len(runs) == 7


def test_it_goes_on_and_runs_nothing_twice(tmp_path: Path, runs: list[TargetProfile]) -> None:
    first = _search(tmp_path / "out")
    assert _search(tmp_path / "out") == first
    assert len(runs) == 4
    more = _search(tmp_path / "out", trials=6)
    assert more.trials[:4] == first.trials
    assert len(more.trials) == len({profile.recipe.model_dump_json() for profile in runs}) == len(runs) == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_a_trial_that_is_interrupted_is_the_next_one(
    error: BaseException, tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _interrupting(patched, error, 3, runs)
        with pytest.raises(type(error)):
            _search(tmp_path / "out")
    found = _search(tmp_path / "out")
    assert len(found.trials) == 4
    assert found.running == 0
    assert runs[3] == runs[2]


def test_a_trial_that_fails_is_kept_with_its_reason(
    tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupting(monkeypatch, ParityError("step 'export' changed what the model computes"), 2, runs)
    found = _search(tmp_path / "out")
    assert [trial.failure for trial in found.failed] == ["step 'export' changed what the model computes"]
    assert len(found.trials) == 4
    assert found.failed[0].number not in found.front
    assert _search(tmp_path / "out") == found


def test_a_failure_of_another_kind_ends_no_study_either(
    tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupting(monkeypatch, ZeroDivisionError("by zero\nat line 7"), 1, runs)
    found = _search(tmp_path / "out", trials=2)
    assert [trial.failure for trial in found.failed] == ["internal failure: ZeroDivisionError: by zero"]


def test_what_cannot_be_written_ends_the_run_and_the_trial_comes_again(
    tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _interrupting(patched, OutputError("the disk is full; free some room"), 2, runs)
        with pytest.raises(OutputError, match="disk is full"):
            _search(tmp_path / "out")
    assert len(_search(tmp_path / "out", trials=2).trials) == 2
    assert runs[2] == runs[1]


def test_where_all_fail_the_last_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Bundle:
        raise RecipeError("no; yes")

    monkeypatch.setattr("edgecompress.comparison.search.worker.make_bundle", fail)
    with pytest.raises(RecipeError, match=r"^the first 5 trials failed; the last one: no; yes$"):
        _search(tmp_path / "out", trials=20)


def test_a_space_that_is_searched_through_ends_the_search(tmp_path: Path, runs: list[TargetProfile]) -> None:
    found = _search(tmp_path / "out", *FEW, trials=100)
    assert len(found.trials) == len(runs) == 8  # fbgemm in three ways and qnnpack, two granularities


def test_a_search_for_another_thing_is_refused_in_the_same_folder(tmp_path: Path, runs: list[TargetProfile]) -> None:
    _search(tmp_path / "out", trials=1)
    with pytest.raises(OutputError, match="the study is of another model;"):
        _search(tmp_path / "out", seed=1)
    with pytest.raises(OutputError, match="the study is of other evaluation data;"):
        _search(tmp_path / "out", data={"evaluation": images(seed=3)})
    with pytest.raises(OutputError, match="the study is of other train data;"):
        _search(tmp_path / "out", data={"train": images(seed=3)})
    with pytest.raises(OutputError, match="the study is of another recipe"):
        _search(tmp_path / "out", "seed=1")
    assert len(runs) == 1


def test_a_time_that_is_over_before_a_trial_ended_is_too_short(tmp_path: Path, runs: list[TargetProfile]) -> None:
    told = "a time budget of 1 s is too short for one trial; give more (--budget-time), and what was begun goes on"
    with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"):
        _search(tmp_path / "out", seconds=1e-9)
    assert runs == []
    assert len(_search(tmp_path / "out", trials=1).trials) == 1


def test_a_time_that_is_over_in_a_trial_leaves_it_to_the_next_run(
    tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecompress.comparison.search.time_budget import OutOfTimeError

    with monkeypatch.context() as patched:
        _interrupting(patched, OutOfTimeError(), 2, runs)
        assert len(_search(tmp_path / "out", trials=None, seconds=1e9).trials) == 1
    found = _search(tmp_path / "out", trials=2)
    assert len(found.trials) == 2
    assert runs[2] == runs[1]


def test_a_bundle_that_a_dead_worker_left_is_read_and_not_made(tmp_path: Path, runs: list[TargetProfile]) -> None:
    first = _search(tmp_path / "out")
    (tmp_path / "out" / "study.journal").unlink()
    again = _search(tmp_path / "out")
    assert {trial.folder for trial in again.trials} == {trial.folder for trial in first.trials}
    assert len(runs) == 4


def test_data_without_labels_are_told(tmp_path: Path) -> None:
    told = r"^a search compares recipes by the metric; give data with labels \(--evaluation\)$"
    with pytest.raises(DataError, match=told):
        _search(tmp_path / "out", data={"evaluation": [image for image, _ in images(seed=2)]})


def test_a_target_without_a_technique_is_told(tmp_path: Path) -> None:
    told = "no technique is left for target 'mobile'; give training data (--train), or set quantization.enabled=true"
    with pytest.raises(RecipeError, match=f"^{re.escape(told)}$"):
        _search(tmp_path / "out", "quantization.enabled=false")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other things, 'thesis.tex' for one; choose an empty folder"):
        prepare_folder(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(OutputError, match=r"thesis.tex' cannot be used: Not a directory; choose another --output"):
        prepare_folder(tmp_path / "thesis.tex")


@pytest.mark.parametrize("kind", ["{}/elsewhere.journal", "sqlite:///{}/elsewhere.db"])
def test_a_study_is_kept_where_it_was_asked_to_be(kind: str, tmp_path: Path, runs: list[TargetProfile]) -> None:
    storage, asked = kind.format(tmp_path), {"model": "nets.py:net"}
    first = _search(tmp_path / "out", storage=storage, asked=asked, trials=2)
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"front.html", "front.json", "trials"}
    other = _search(tmp_path / "other", storage=storage, trials=3)
    assert other.trials[:2] == first.trials
    assert len(runs) == 3
    assert begun_with(storage) == asked
    with pytest.raises(OutputError, match="the study is of another model;"):
        _search(tmp_path / "out", storage=storage, seed=1)


@pytest.mark.parametrize("kind", ["{}/out/team.journal", "sqlite:///{}/out/team.db"])
def test_a_study_that_is_kept_in_the_folder_itself_goes_on(
    kind: str, tmp_path: Path, runs: list[TargetProfile]
) -> None:
    storage = kind.format(tmp_path)
    first = _search(tmp_path / "out", storage=storage, trials=1)
    assert _search(tmp_path / "out", storage=storage, trials=2).trials[:1] == first.trials
    assert len(runs) == 2
    for other in (None, "postgresql://host/team.db"):
        with pytest.raises(OutputError, match="holds other things, 'team"):
            prepare_folder(tmp_path / "out", other)


@pytest.mark.parametrize(
    ("name", "storage"),
    [
        ("team.journal", "out/team.journal"),
        ("team.journal.lock", "out/team.journal"),
        ("team.db", "sqlite:///out/team.db?timeout=9"),
        ("team.db-journal", "sqlite:///out/team.db"),
    ],
)
def test_what_belongs_to_the_storage_is_no_stranger_where_its_path_is_relative(
    name: str, storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).touch()
    prepare_folder(Path("out"), storage)
    with pytest.raises(OutputError, match="holds other things"):
        prepare_folder(Path("out"), storage.replace("out/", "elsewhere/"))


def test_a_worker_waits_for_the_others_and_takes_the_trials_of_those_that_die(
    tmp_path: Path, runs: list[TargetProfile], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker begins a trial, and dies while this one waits for it."""
    import optuna

    folder = tmp_path / "out"
    _search(folder, trials=1)
    with quietly():
        study: Any = optuna.load_study(study_name=NAME, storage=open_journal(folder / JOURNAL))
        trial = study.ask()
        for key, distribution in study.trials[0].distributions.items():
            trial.suggest_categorical(key, distribution.choices)
        trial.set_user_attr("folder", "of-another")
        lock = owned(lock_of_trial(folder / JOURNAL, "of-another"), wait=False)
        lock.__enter__()
        waited: list[float] = []

        def die(seconds: float) -> None:
            waited.append(seconds)
            lock.__exit__(None, None, None)

        monkeypatch.setattr("time.sleep", lambda seconds: None if waited else die(seconds))
        found = _search(folder, trials=2)
    assert waited == [POLL_SECONDS]
    assert (len(found.trials), found.running) == (2, 0)
    assert [trial.state.name for trial in study.trials][1] == "FAIL"


def test_a_worker_of_a_database_whose_heart_stopped_is_dead(tmp_path: Path, runs: list[TargetProfile]) -> None:
    import optuna

    database = tmp_path / "study.db"
    _search(tmp_path / "out", storage=f"sqlite:///{database}", trials=1)
    with quietly():
        storage: Any = open_storage(f"sqlite:///{database}")
        study = optuna.load_study(study_name=NAME, storage=storage)
        with pytest.warns(UserWarning, match="Heartbeat"):
            trial = study.ask()
        trial.set_user_attr("folder", "of-another")
        storage.record_heartbeat(trial._trial_id)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
        connection.commit()
    found = _search(tmp_path / "out", storage=f"sqlite:///{database}", trials=2)
    assert (len(found.trials), found.running) == (2, 0)
    with quietly():
        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]
