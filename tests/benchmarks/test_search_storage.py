"""A cluster is simulated by the code of the search, and its figures are those of the waits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgecompress.comparison.search.trial import SearchTrial
from tests.comparison.search.measures import measures

pytest.importorskip("optuna")

from benchmarks.search_storage import HEADINGS, Plan, Run, Wait, line, row_of, simulate
from edgecompress.comparison.search.storage import open_storage, quietly
from edgecompress.comparison.search.study import open_study, read_study


def _plan(url: str, begin: float, seconds: float = 600.0, trials: int | None = None) -> Plan:
    recorded = tuple(
        SearchTrial(number=number, settings={}, folder=str(number), seconds=20.0, measures=measures(float(number)))
        for number in range(3)
    )
    return Plan(url=url, workers=2, recorded=recorded, speed=100.0, begin=begin, seconds=seconds, trials=trials)


@pytest.mark.parametrize("url", ["{}/study.journal", "sqlite:///{}/study.db"])
def test_workers_share_a_study_and_run_no_recipe_twice(url: str, tmp_path: Path) -> None:
    """Each wait is a trial of the study: the two workers take them from the same storage."""
    plan = _plan(url.format(tmp_path), time.monotonic(), trials=6)
    found = simulate(plan)
    with quietly():
        known = read_study(open_study(open_storage(plan.url), {"simulation": "1"}, seed=0))
    assert len(found) == plan.workers
    assert not any(run.gave_up for run in found)
    assert sum(len(run.waits) for run in found) == len(known.trials) in (6, 7)  # the last two may begin at once
    assert len({trial.folder for trial in known.trials.values()}) == len(known.trials)
    assert {trial.measures for trial in known.trials.values()} <= {trial.measures for trial in plan.recorded}
    waits = [wait for run in found for wait in run.waits]
    assert all(plan.begin <= wait.begin <= wait.end for wait in waits)
    assert min(wait.end - wait.begin for wait in waits) >= 20 / plan.speed


def test_figures_count_what_ended_in_time_and_the_share_of_the_waits() -> None:
    found = [
        Run(waits=[Wait(begin=0.0, end=4.0, cpu_seconds=1.0), Wait(begin=5.0, end=9.0, cpu_seconds=1.5)]),
        Run(waits=[Wait(begin=2.0, end=12.0, cpu_seconds=1.0)], gave_up=True),
    ]
    row = row_of("SQLite", _plan("", begin=0.0, seconds=10.0), found)
    assert dict(zip(HEADINGS, row, strict=True)) == {
        "storage": "SQLite",
        "workers": "2, 1 gave up",
        "trials a minute": "12",
        "of ideal": "80 %",
        "between two trials": "1000 ms",
        "95 % are under": "1000 ms",
        "CPU of it": "500 ms",
    }
    assert line(row) == "| SQLite | 2, 1 gave up | 12 | 80 % | 1000 ms | 1000 ms | 500 ms |"
    assert row_of("SQLite", _plan("", begin=0.0), [Run(waits=[])] * 2)[2:] == ["0", "0 %", "-", "-", "-"]
