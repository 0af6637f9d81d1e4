"""A process that is bound to some cores leaves the others alone, whatever runs in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.calibration.workers import Workers, sharing_cores
from edgecompress.system.cores import AS_MANY, available_cores, threads_of_all
from tests.conftest import ROOT

BOUND = """
import os
from pathlib import Path

first = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {first})

from edgecompress.runtime import ALL_CORES, execute, open_session, to_bytes
from tests.exporters.graphs import graph

model = graph("y = Relu(x)")
sessions = [open_session(model, ALL_CORES), open_session(model, ALL_CORES, background=True)]
states = [Path(f"/proc/self/task/{thread}/status").read_text() for thread in os.listdir("/proc/self/task")]
found = {line.split()[1] for text in states for line in text.splitlines() if line.startswith("Cpus_allowed_list")}
assert found == {str(first)}, found
"""


def _bind(monkeypatch: pytest.MonkeyPatch, mine: int, all_of_them: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(mine)), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: all_of_them)


@pytest.mark.parametrize(("mine", "all_of_them", "threads"), [(1, 2, 1), (3, 8, 3), (8, 8, AS_MANY), (1, 1, AS_MANY)])
def test_a_session_has_the_cores_of_the_process(
    mine: int, all_of_them: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bind(monkeypatch, mine, all_of_them)
    assert available_cores() == mine
    assert threads_of_all() == threads


@pytest.mark.parametrize(("mine", "workers", "threads"), [(4, 2, 2), (8, 2, 4), (1, 2, 1)])
def test_workers_on_one_machine_share_the_cores_that_they_may_run_on(
    mine: int, workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bind(monkeypatch, mine, 8)
    assert Workers(count=workers, on_this_machine=workers).threads == threads


@given(
    places=st.lists(st.tuples(st.sampled_from("ab"), st.frozensets(st.integers(0, 3), min_size=1)), min_size=1),
    data=st.data(),
)
def test_a_worker_shares_cores_with_those_that_may_run_on_one_of_them(
    places: list[tuple[str, frozenset[int]]], data: st.DataObject
) -> None:
    rank = data.draw(st.integers(0, len(places) - 1))
    mine = {(places[rank][0], core) for core in places[rank][1]}
    others = [{(machine, core) for core in cores} for machine, cores in places]
    assert sharing_cores(places, rank) == sum(bool(mine & theirs) for theirs in others)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir() or os.cpu_count() == 1, reason="Linux with several cores")
def test_no_thread_leaves_the_cores_that_the_process_is_bound_to() -> None:
    """ONNX Runtime's own choice of threads puts each on a core of its own, whatever the process may use."""
    told = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=False, cwd=ROOT)
    assert told.returncode == 0, told.stderr
