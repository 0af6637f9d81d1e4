"""The table of results in README comes from one command, which finds its place there."""

from __future__ import annotations

import pytest

from benchmarks.main_job import END, HEADINGS, JOBS, START, section, written_into
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
FIGURES = ["1.00 -> 0.25 MB, 4.00x", "2.00 -> 1.00 ms, 2.00x (1.99-2.01)", "90.00 -> 89.00 %", "3 s", "1.00 GB"]


def test_readme_has_the_table_that_the_command_writes() -> None:
    place = README.partition(START)[2].partition(END)[0]
    lines = [line for line in place.splitlines() if line.startswith("|")]
    assert lines[0] == f"| {' | '.join(HEADINGS)} |"
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == [job.title for job in JOBS]


def test_the_new_table_takes_the_place_of_the_old_one_and_of_nothing_else() -> None:
    text = section([[job.title, *FIGURES] for job in JOBS])
    written = written_into(README, text)
    assert written.partition(START)[0] == README.partition(START)[0]
    assert written.partition(END)[2] == README.partition(END)[2]
    assert written.count("90.00 -> 89.00 %") == len(JOBS)
    assert written_into(written, text) == written


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.model)
def test_a_title_names_the_target_that_the_command_has(job: object) -> None:
    from benchmarks.main_job import Job

    assert isinstance(job, Job)
    target = job.options.split()[1]
    assert f"`--target {target}`" in job.title
