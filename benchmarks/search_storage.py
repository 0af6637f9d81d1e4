"""How many workers a storage of a study bears: python -m benchmarks.search_storage --recorded study.journal

A simulated cluster. Each worker is a process with its own connection, and runs the loop of ``edgecompress search``: it
takes trials of dead workers again, reads the study, asks for a recipe, tells of it, and beats as a worker does. In the
place of compressing it waits as long as a trial of the recorded study took, divided by ``--speed``, and tells what that
measured. As all of them share this machine's cores, which in a cluster they do not, the table has the CPU time
that a worker takes between two trials next to the time that passes: where the two are alike and the cores are taken,
the machine is the limit, and else the storage is. ``--postgresql`` is the URL of a server on which databases may be
made. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna
from sqlalchemy import create_engine, text
from torch import nn

from benchmarks.int8_table import machine, version
from edgecompress.comparison.making import Material
from edgecompress.comparison.search.search import run_trials
from edgecompress.comparison.search.space import make_space
from edgecompress.comparison.search.storage import is_journal, open_storage, quietly, reached
from edgecompress.comparison.search.study import NAME, open_study, read_study
from edgecompress.comparison.search.time_budget import OutOfTimeError, TimedProgress
from edgecompress.comparison.search.trial import TRIALS, Measures, SearchTrial
from edgecompress.comparison.search.worker import Worker
from edgecompress.errors import OutputError
from edgecompress.progress import Progress
from edgecompress.targets import TargetProfile, load_profile

HEADINGS = ("storage", "workers", "trials a minute", "of ideal", "between two trials", "95 % are under", "CPU of it")
LEAD_SECONDS, LEAD_SECONDS_EACH = 5.0, 0.5
"""After which the workers begin, all at once: so long it takes to start them, and each of them."""
PRELOADED = ("edgecompress.comparison.search.search", "optuna.storages", "sqlalchemy.dialects.postgresql")
ROLES = ("calibration", "evaluation", "train")


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The wait in the place of a trial, in seconds of the clock of the machine, and the CPU time of its worker then."""

    begin: float
    end: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a worker did, and whether it gave up since the storage did not answer, as a search would."""

    waits: list[Wait]
    gave_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run: ``workers`` on the storage at ``url`` from ``begin`` on for ``seconds``, ``speed`` times as fast.

    ``trials`` is how many there are to be in the study, at which it ends before; None for no end.
    """

    url: str
    workers: int
    recorded: tuple[SearchTrial, ...]
    speed: float
    begin: float
    seconds: float
    trials: int | None = None


@dataclass(frozen=True, kw_only=True)
class Replay(Worker):
    """A worker whose trials are waits."""

    plan: Plan
    waits: list[Wait] = field(default_factory=list)

    def measured(self, profile: TargetProfile, name: str) -> Measures | str:  # noqa: ARG002 - a bundle's
        trial = self.plan.recorded[int(name, 16) % len(self.plan.recorded)]
        begin = time.monotonic()
        time.sleep(trial.seconds / self.plan.speed)
        self.waits.append(Wait(begin=begin, end=time.monotonic(), cpu_seconds=time.process_time()))
        assert trial.measures is not None
        return trial.measures


def recorded_in(journal: Path) -> tuple[SearchTrial, ...]:
    """The trials of a study that have measures."""
    with quietly():
        known = read_study(optuna.load_study(study_name=NAME, storage=open_storage(str(journal))))
    return tuple(trial for trial in known.trials.values() if trial.measures is not None)


def run_worker(plan: Plan) -> Run:
    """One worker, until the time is over."""
    with quietly(), tempfile.TemporaryDirectory() as folder:
        (Path(folder) / TRIALS).mkdir()
        journal = Path(plan.url) if is_journal(plan.url) else None
        space = make_space(load_profile("edge"), ROLES)
        study = open_study(open_storage(plan.url), {"simulation": "1"}, seed=0)
        worker = Replay(
            plan=plan,
            material=Material(network=nn.Identity(), data={}),
            parts={},
            space=space,
            folder=Path(folder),
            progress=TimedProgress(Progress(), plan.begin + plan.seconds),
            tell=lambda _: None,
            journal=journal,
        )
        time.sleep(max(0.0, plan.begin - time.monotonic()))
        try:
            with suppress(OutOfTimeError), reached(plan.url):
                run_trials(study, worker, plan.trials)
        except OutputError:
            return Run(waits=worker.waits, gave_up=True)
    return Run(waits=worker.waits)


def simulate(plan: Plan) -> list[Run]:
    """What each worker did."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    with quietly():
        open_study(open_storage(plan.url), {"simulation": "1"}, seed=0)
    with ProcessPoolExecutor(plan.workers, mp_context=context) as pool:
        return [*pool.map(run_worker, [plan] * plan.workers)]


def row_of(storage: str, plan: Plan, found: Sequence[Run]) -> list[str]:
    """The figures of a run, as the table has them."""
    end = plan.begin + plan.seconds
    waits = [wait for each in found for wait in each.waits]
    ended = sum(wait.end <= end for wait in waits)
    busy = sum(max(0.0, min(wait.end, end) - wait.begin) for wait in waits)
    pairs = [pair for each in found for pair in itertools.pairwise(each.waits)]
    between = [after.begin - before.end for before, after in pairs]
    cpu = [after.cpu_seconds - before.cpu_seconds for before, after in pairs]
    figures = [np.median(between), np.percentile(between, 95), np.median(cpu)] if between else []
    told = [f"{1e3 * figure:.0f} ms" for figure in figures] or ["-"] * 3
    share = busy / (plan.workers * plan.seconds)
    lost = sum(each.gave_up for each in found)
    workers = f"{plan.workers}, {lost} gave up" if lost else str(plan.workers)
    return [storage, workers, f"{60 * ended / plan.seconds:.0f}", f"{100 * share:.0f} %", *told]


def urls(folder: Path, postgresql: str | None) -> Iterator[tuple[str, str]]:
    """A new storage of each kind, and what it is called."""
    folder.mkdir()
    yield "journal file", str(folder / "study.journal")
    yield "SQLite", f"sqlite:///{folder / 'study.db'}"
    if postgresql is not None:
        name = f"study_{time.time_ns()}"
        with create_engine(postgresql, isolation_level="AUTOCOMMIT").connect() as server:
            server.execute(text(f"CREATE DATABASE {name}"))
        yield "PostgreSQL", f"{postgresql.rpartition('/')[0]}/{name}"


def line(cells: Sequence[str]) -> str:
    """Of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recorded", type=Path, required=True, help="journal of a study")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast as the trials were")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each run")
    parser.add_argument("--postgresql", help="postgresql+psycopg://USER@HOST/NAME of a server")
    given = parser.parse_args(arguments)
    recorded = recorded_in(given.recorded)
    seconds = np.array([trial.seconds for trial in recorded])
    print(f"{len(recorded)} recorded trials of {seconds.min():.0f} to {seconds.max():.0f} s, {given.speed:g} times as")
    print(f"fast, {given.seconds:g} s a run; {machine()}, Optuna {version('optuna')}\n")
    print(line(HEADINGS), line(["---"] * len(HEADINGS)), sep="\n")
    with tempfile.TemporaryDirectory() as scratch:
        for workers in given.workers:
            for storage, url in urls(Path(scratch) / str(workers), given.postgresql):
                begin = time.monotonic() + LEAD_SECONDS + LEAD_SECONDS_EACH * workers
                plan = Plan(
                    url=url,
                    workers=workers,
                    recorded=recorded,
                    speed=given.speed,
                    begin=begin,
                    seconds=given.seconds,
                )
                print(line(row_of(storage, plan, simulate(plan))), flush=True)


if __name__ == "__main__":
    main()
