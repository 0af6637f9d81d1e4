"""``edgecompress search`` on the command line: a table of 80 columns, or JSON and nothing else."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edgecompress.cli import main
from edgecompress.cli.search import print_search, told_of
from edgecompress.comparison.search.journal import open_journal
from edgecompress.comparison.search.result import result_of
from edgecompress.comparison.search.space import Setting
from edgecompress.comparison.search.storage import open_storage, quietly
from edgecompress.comparison.search.study import NAME, Known, open_study
from edgecompress.comparison.search.trial import Measures, SearchTrial
from edgecompress.errors import InputError
from edgecompress.loading.models import load_model
from edgecompress.targets import load_profile
from tests.comparison.search.measures import measures
from tests.conftest import ROOT

QUICK = ["export.simplify=false", "cpu.runs=10", "quantization.adaround=false", "quantization.fallback_evaluations=0"]
DATA = ["--calibration", "batches.py:calibration", "--evaluation", "batches.py:evaluation"]
SET = [word for setting in QUICK for word in ("--set", setting)]
RUN = ["search", "nets.py:net", "--target", "mobile", *DATA, "--trials", "1", "--output", "out", *SET]
SETTINGS: dict[str, Setting] = {
    "pruning.enabled": True,
    "pruning.amount": 0.45,
    "pruning.spread": "sensitivity",
    "quantization.enabled": True,
    "quantization.scheme": "fbgemm",
    "quantization.granularity": "per_channel",
    "quantization.observer": "percentile",
    "quantization.bias_correction": True,
}
WORST = measures(
    12.5,
    2.25,
    104_190_000,
    title="pruned 45 % + INT8",
    metric_change="-12.75 to -10.25",
    original_bytes=416_000_000,
    original_ms=1234.5,
    speedup_interval_95=(2.21, 12.31),
)
"""With figures as wide as they come."""


def _trial(number: int, found: Measures | None, failure: str | None = None) -> SearchTrial:
    return SearchTrial(
        number=number, settings=SETTINGS, folder="0123456789ab", seconds=90.0, measures=found, failure=failure
    )


def _printed(capsys: pytest.CaptureFixture[str], *trials: SearchTrial, running: int = 0) -> list[str]:
    known = Known(
        trials={trial.number: trial for trial in trials}, running=frozenset(f"r{place}" for place in range(running))
    )
    print_search(result_of(known, Path("net-search"), load_profile("edge")))
    return capsys.readouterr().out.splitlines()


def test_the_front_lines_up_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(
        capsys,
        _trial(0, WORST),
        _trial(1, measures(0.0, 2.0, 300_000_000)),
        _trial(2, measures(0.5, 3.0, 200_000_000)),
        _trial(3, measures(0.6, 1.9, 250_000_000)),
        _trial(14, None, "step 'export' changed what the model computes: 12.0 dB agreement with the original, 60 dB"),
        running=2,
    )
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["trial", "top-1", "change,", "95", "%", "latency", "speedup,", "95", "%", "size"]
    assert lines[1].split()[:2] == ["original", "80.00"]
    assert [line.split()[0] for line in lines[2:5]] == ["1", "2", "0"]
    assert lines[3].startswith("2 chosen knee")
    text = "\n".join(lines)
    assert "pruned 45 % + INT8: pruning.amount=0.45 pruning.spread=sensitivity" in text
    assert "quantization.enabled" not in text
    assert "left out: 1 trial that others beat, 1 failure\n14: step 'export' changed" in text
    assert "2 trials still with other workers" in text
    assert "chosen: trial 2: the best of 3 trials that keep the budgets of edge" in text
    assert lines[-2:] == ["its bundle: net-search/trials/0123456789ab", "all trials: net-search"]


def test_latencies_are_the_originals_over_the_speedups(capsys: pytest.CaptureFixture[str]) -> None:
    """Milliseconds of different runs do not compare; what the machine did to both is in neither ratio."""
    lines = _printed(
        capsys, _trial(0, measures(0.0, 2.0, original_ms=1.0)), _trial(1, measures(1.0, 4.0, original_ms=3.0))
    )
    shown = ["  ".join(line.split()) for line in lines[1:4]]
    assert [words.split("  ms")[0].split("  ")[-1] for words in shown] == ["2.00", "1.00", "0.500"]


def test_where_none_keeps_the_budgets_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(capsys, _trial(0, replace(WORST, outcome="fail", missed=("min_speedup",))))
    told = (
        "none chosen: no trial of the front keeps all budgets, min_speedup is missed by 1 of 1; give more trials"
        " (--trials), or set budgets.min_speedup=LIMIT and another output (--output)"
    )
    assert " ".join(" ".join(lines[-4:-1]).split()) == told
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "all trials: net-search"
    assert "made again" not in "\n".join(lines)


def test_the_command_that_makes_the_chosen_trial_again_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = result_of(Known(trials={0: _trial(0, WORST)}), Path("net-search"), load_profile("edge"))
    command = f"edgecompress compress nets.py:net --target {'long/' * 20}recipe.toml --calibration data.py:calibration"
    print_search(replace(found, command=command))
    assert f"made again by: {command}" in capsys.readouterr().out.splitlines()


def test_a_chosen_trial_that_others_beat_stands_below_the_front(capsys: pytest.CaptureFixture[str]) -> None:
    missed = measures(0.0, 2.0, 1000, outcome="fail", missed=("max_latency_ms",))
    lines = _printed(
        capsys, _trial(0, missed), _trial(1, measures(0.0, 2.005, 1001)), _trial(2, measures(1.0, 1.0, 2000))
    )
    assert [line.split()[0] for line in lines[2:4]] == ["0", "1"]
    assert lines[3].startswith("1 chosen")
    assert "left out: 1 trial that others beat" in "\n".join(lines)
    assert "chosen: trial 1: the only trial that keeps the budgets of edge" in "\n".join(lines)
    assert max(map(len, lines)) <= 80


def test_a_trial_is_told_in_a_line() -> None:
    told = "trial 3, 90 s: INT8: 4.00x smaller, 2.00x faster (1.99-2.01), top-1 79.50 %"
    assert told_of(_trial(3, measures(0.5))) == told
    assert told_of(_trial(3, None, "no layer; name one")) == "trial 3, 90 s: no layer; name one"


@pytest.mark.usefixtures("project")
def test_json_is_what_the_folder_holds_and_the_same_command_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    status = main([*RUN, "--json"])
    shown = capfd.readouterr()
    found = json.loads(shown.out)
    assert status == (0 if found["chosen"] == 0 else 1)
    assert found == json.loads(Path("out/front.json").read_text())
    assert "trial 0, " in shown.err
    bundle = Path("out/trials") / found["trials"][0]["folder"]
    assert main(["validate", str(bundle), "--json"]) in (0, 1)
    assert json.loads(capfd.readouterr().out)
    assert main([*RUN, "--json"]) == status
    again = capfd.readouterr()
    assert json.loads(again.out) == found
    assert "trial 0, " not in again.err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("started", ["search", "join", "compare"])
def test_the_command_of_a_report_gives_the_same_bytes_with_the_trained_weights(
    started: str, project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A network without its weights is another network, and its bundle would be made without a word."""
    pytest.importorskip("optuna")
    trained = load_model(f"{project / 'nets.py'}:net", None)
    assert isinstance(trained, nn.Module)
    torch.save({name: value + 0.01 for name, value in trained.state_dict().items()}, "net.pt")
    more = ["--weights", "net.pt", "--metric", "accuracy", "--set", "quantization.placement=table"]
    if started == "compare":
        assert main(["compare", RUN[1], *DATA, *more, *SET, "--output", "out"]) == 0
        bundle = Path("out/int8")
    else:
        status = main([*RUN, *more, "--json"])
        found = json.loads(capfd.readouterr().out)
        if started == "join":
            assert main(["search", "--join", "out/study.journal", "--json", "--trials", "2"]) in (0, 1)
            found = json.loads(capfd.readouterr().out)
        bundle = Path("out/trials") / found["trials"][-1]["folder"]
        assert (found["command"] is not None) == (status == 0)
    command = json.loads((bundle / "report.json").read_text())["command"]
    assert main([*shlex.split(command)[1:], "--output", "again"]) in (0, 1)
    for name in ("model.onnx", "recipe.toml"):
        assert (Path("again") / name).read_bytes() == (bundle / name).read_bytes()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--budget-time", "soon"], "a time budget is 'soon'; give one as 2h, 90m or 1h30m (--budget-time)"),
        (["--trials", "0"], "trials is 0; give a whole number of at least 1"),
        (["--set", "quantization.observer=mean"], "got 'mean' in 'quantization.observer'"),
        (["--target", "mobil"], "did you mean 'mobile'?"),
        (["--output", "nets.py"], "cannot be used: Not a directory; choose another --output"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    name, value = arguments
    kept = [*RUN, name, value]
    if name in RUN and name != "--set":
        kept = [*RUN]
        kept[kept.index(name) + 1] = value
    assert main(kept) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert told in shown.err.splitlines()[-1]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["search", "nets.py:net", "--target", "mobile"],
            "error: --calibration is missing; give it, as in edgecompress search file.py:callable --target NAME"
            " --calibration DATA --evaluation DATA, or join a study with --join URL",
        ),
        (["search"], "error: MODEL is missing; give it, as in edgecompress search file.py:callable --target NAME"),
        (
            [*RUN, "--join", "out/study.journal"],
            "error: --join takes its arguments from the study; leave MODEL out",
        ),
        (
            ["search", "--join", "a", "--set", "seed=1"],
            "error: --join takes its arguments from the study; leave --set out",
        ),
        (["search", "--join", "nothing.journal"], "error: there is no study in 'nothing.journal'; begin one with"),
        ([*RUN, "--storage", "postgresql://me:hunter2@host/name"], "error: the URL of the storage holds a password"),
        (["search", "--join", "postgresql://me:hunter2@host/name"], "error: the URL of the storage holds a password"),
    ],
)
def test_what_is_no_study_to_begin_or_to_join_is_told_in_a_line(
    arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    assert main(arguments) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].startswith(told)
    assert "hunter2" not in shown.err


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("begun", "given", "expected"),
    [
        (None, ["--budget-time", "1m"], (None, "1m")),
        (None, ["--trials", "3"], (3, None)),
        (7, [], (7, None)),
        (7, ["--budget-time", "1m"], (7, "1m")),
        (7, ["--trials", "9"], (9, None)),
    ],
)
def test_who_joins_ends_as_the_study_was_begun_or_as_it_says_itself(
    begun: int | None, given: list[str], expected: tuple[int | None, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")

    def keep(*, trials: int | None = None, budget_time: str | None = None, **_: object) -> None:
        asked.append((trials, budget_time))
        raise InputError("that is all; go on")

    asked: list[tuple[int | None, str | None]] = []
    _begin(begun)
    monkeypatch.setattr("edgecompress.api.search.search", keep)
    main(["search", "--join", "study.journal", *given])
    assert asked == [expected]


@pytest.mark.usefixtures("project")
def test_who_joins_a_study_that_a_time_alone_would_end_says_when_to_end(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    _begin(None)
    assert main(["search", "--join", "study.journal"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "error: the study was begun with only a time, so no number of trials ends it; give --budget-time or --trials"
    ]


def _begin(trials: int | None) -> None:
    asked = {"model": "nets.py:net", "target": "mobile", "trials": trials}
    with quietly():
        open_study(open_storage("study.journal"), {"network": "digest"}, 0, asked)


WAITING = """
import glob, signal
from tests.networks import images

def calibration():
    if glob.glob("out/study.journal.*.lock"):
        print("in a trial", flush=True)
        signal.pause()
    return images(seed=1)
"""


def test_the_trial_of_a_worker_that_was_killed_is_taken_again_by_who_joins(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    optuna = pytest.importorskip("optuna")
    data = (project / "batches.py").read_text()
    (project / "batches.py").write_text(WAITING + data.replace("def calibration(): return images(seed=1)", ""))
    running = subprocess.Popen(
        [sys.executable, "-B", "-m", "edgecompress", *RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert running.stdout is not None
    assert any("in a trial" in line for line in running.stdout)
    running.kill()
    running.wait()
    running.stdout.close()
    (project / "batches.py").write_text(data)
    main(["search", "--join", "out/study.journal", "--json"])
    found = json.loads(capfd.readouterr().out)
    assert [trial["failure"] for trial in found["trials"]] == [None]
    with quietly():
        trials = optuna.load_study(study_name=NAME, storage=open_journal(Path("out/study.journal"))).trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE"]
    assert trials[0].user_attrs["folder"] == trials[1].user_attrs["folder"] == found["trials"][0]["folder"]
    assert {place.name for place in Path("out").iterdir()} == {"front.html", "front.json", "study.journal", "trials"}
    assert [place.name for place in Path("out/trials").iterdir()] == [found["trials"][0]["folder"]]
