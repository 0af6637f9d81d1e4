"""A study tells what was tried, and is of one model, one recipe and one set of data."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest

from edgecompress.comparison.search.space import FreeKey
from edgecompress.comparison.search.storage import quietly
from edgecompress.comparison.search.study import asked_of, draw_for, open_study, pick, read_study, require_same
from edgecompress.errors import OutputError
from tests.comparison.search.measures import measures

MADE_OF = {"network": "a", "calibration": "b", "evaluation": "c", "recipe": "d", "version": "1"}


@pytest.fixture
def study() -> Any:
    optuna = pytest.importorskip("optuna")
    with quietly():
        yield open_study(optuna.storages.InMemoryStorage(), MADE_OF, seed=0)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("network", "another model"),
        ("calibration", "other calibration data"),
        ("recipe", "another recipe (--target, --set)"),
        ("version", "another version of edgecompress"),
        ("metric_state", "another metric"),
    ],
)
def test_a_study_of_something_else_is_refused_by_name(key: str, told: str) -> None:
    require_same(MADE_OF, dict(MADE_OF))
    line = f"the study is of {told}; choose another --output or --storage"
    with pytest.raises(OutputError, match=f"^{re.escape(line)}$"):
        require_same(MADE_OF, {**MADE_OF, key: "z"})
    with pytest.raises(OutputError, match="of other train data"):
        require_same({**MADE_OF, "train": "e"}, MADE_OF)


def test_what_is_kept_with_trials_comes_back(study: Any) -> None:
    ended, failed, running, same = (study.ask() for _ in range(4))
    for trial, folder in ((ended, "x"), (failed, "y"), (running, "z")):
        trial.set_user_attr("settings", {"quantization.observer": "mse"})
        trial.set_user_attr("folder", folder)
    ended.set_user_attr("seconds", 2.0)
    ended.set_user_attr("measures", asdict(measures()))
    failed.set_user_attr("seconds", 1.0)
    failed.set_user_attr("failure", "no layer; name one")
    same.set_user_attr("same_as", "x")
    known = read_study(study)
    assert known.trials.keys() == {ended.number, failed.number}
    assert known.measured == {ended.number: measures()}
    assert known.trials[failed.number].failure == "no layer; name one"
    assert known.trials[ended.number].settings == {"quantization.observer": "mse"}
    assert "z" in known.running
    assert known.at("y") == known.trials[failed.number]
    assert known.at("z") is None


def test_a_value_is_taken_as_the_choice_has_it(study: Any) -> None:
    amounts = FreeKey(key="pruning.amount", values=tuple(round(0.1 + 0.05 * place, 2) for place in range(13)))
    words = FreeKey(key="quantization.observer", values=("mse", "entropy"))
    for _ in range(20):
        trial = study.ask()
        assert pick(trial, amounts) in amounts.values
        assert pick(trial, words) in words.values


def test_workers_that_begin_at_once_draw_otherwise_and_so_does_a_run_that_goes_on() -> None:
    drawn = _drawn(seed=0)
    assert len({*drawn}) == len(drawn)
    assert drawn == _drawn(seed=0)
    assert not {*drawn} & {*_drawn(seed=1)}


def _drawn(seed: int) -> list[Any]:
    """What three workers draw who open a study at once, and one that comes later."""
    optuna = pytest.importorskip("optuna")
    storage = optuna.storages.InMemoryStorage()
    choice = FreeKey(key="a", values=tuple(map(str, range(1000))))
    drawn = []
    with quietly():
        at_once = [open_study(storage, MADE_OF, seed=seed) for _ in range(3)]
        for study in (*at_once, open_study(storage, MADE_OF, seed=seed)):
            trial = study.ask()
            draw_for(study, trial, seed)
            drawn.append(pick(trial, choice))
    return drawn


def test_the_command_that_began_a_study_comes_back_to_those_who_join() -> None:
    optuna = pytest.importorskip("optuna")
    storage, asked = optuna.storages.InMemoryStorage(), {"model": "nets.py:net", "trials": 3, "overrides": ["seed=1"]}
    with quietly():
        told = "there is no study in 'a'; begin one with edgecompress search MODEL --storage URL"
        with pytest.raises(OutputError, match=f"^{re.escape(told)}$"):
            asked_of(storage, "a")
        open_study(storage, MADE_OF, seed=0, asked=asked)
        open_study(storage, MADE_OF, seed=0, asked={"model": "another.py:name"})
        assert asked_of(storage, "a") == asked
        in_python = optuna.storages.InMemoryStorage()
        open_study(in_python, MADE_OF, seed=0)
        told = "the study in 'a' was begun in Python; join it there, with edgecompress.search and its storage"
        with pytest.raises(OutputError, match=f"^{re.escape(told)}$"):
            asked_of(in_python, "a")
