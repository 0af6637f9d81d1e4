"""What the command line prints as JSON is JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from edgecompress.cli.tables import print_budgets, print_elsewhere, print_json, print_metrics, print_verdict
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.budgets import judge
from edgecompress.validation.elsewhere.place import RunNode
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def test_a_number_that_json_does_not_have_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.inf, "b": [math.nan, 1.5], "c": {"d": (-math.inf, "x", None, True, 3)}})
    document = json.loads(capsys.readouterr().out, parse_constant=_refuse)
    assert document == {"a": None, "b": [None, 1.5], "c": {"d": [None, "x", None, True, 3]}}


def _metrics(ratio: float, low: float, high: float) -> dict[str, Any]:
    return {
        "size_bytes": {"original": 4e6, "compressed": 1e6, "ratio": 4.0},
        "latency_ms": {
            "original": {"median": 1.0},
            "compressed": {"median": 1 / ratio},
            "ratio": ratio,
            "ratio_interval_95": [low, high],
            "threads": 1,
        },
        "accuracy": {"original": None, "compressed": None, "drop": None},
        "parity": {"compressed": {"sqnr_db": 30.0, "top1_agreement": None}},
    }


@pytest.mark.parametrize(
    ("ratio", "low", "high", "told"),
    [
        (1 / 3.02, 0.24, 1.06, "too noisy to say (0.24-1.06)"),
        (1.001, 0.99, 1.01, "no difference (0.99-1.01)"),
        (2.0, 1.9, 2.1, "2.00x faster (1.90-2.10)"),
    ],
)
def test_a_speedup_is_said_where_it_is_one(
    ratio: float, low: float, high: float, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_metrics(_metrics(ratio, low, high))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("latency"))
    assert line.endswith(told)
    assert ("slower" in line, "faster" in line) == (False, "faster" in told)


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ([0.25, 1.75], "-1.00 points (-1.75 to -0.25)"),
        ([-0.5, 2.5], "no difference (-2.50 to +0.50)"),
        ([-8.0, 9.0], "too few samples to say (-9.00 to +8.00)"),
        (None, "-1.00 points"),
    ],
)
def test_a_drop_of_the_metric_is_said_where_it_is_one(
    interval: list[float] | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"name": "top1", "original": 80.0, "compressed": 79.0, "drop": 1.0, "unit": "%", "higher_is_better": True}
    print_metrics(_metrics(2.0, 1.9, 2.1) | {"metric": {**entry, "drop_interval_95": interval}})
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy"))
    assert len(line) <= 80
    assert line.split() == ["accuracy,", "top-1", "80.00", "%", "79.00", "%", *told.split()]


def test_a_budget_that_noise_leaves_open_is_not_called_missed(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = judge(Budgets(min_speedup=1), {"speedup": 0.33}, {"speedup": (0.24, 1.06)}).entry
    print_budgets(verdict, "--runs 1000")
    print_verdict(verdict, Path("out"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["min_speedup", "1", "x", "0.33", "x", "too", "noisy", "to", "say"]
    assert lines[2] == "min_speedup: 0.24 to 1.06 x at 95 %; take more runs (--runs 1000), or stop other"
    assert lines[-1] == "not decided (too noisy to say: min_speedup): out"


@pytest.mark.parametrize(
    ("budgets", "given", "told"),
    [
        (Budgets(), {}, ""),
        (Budgets(), {"unmeasured": "mIoU"}, " (mIoU not measured: give --evaluation DATA with labels)"),
        (
            Budgets(max_accuracy_drop=1),
            {"unmeasured": "accuracy"},
            " (accuracy not measured: give --evaluation DATA with labels)",
        ),
        (Budgets(max_accuracy_drop=1), {}, " (not measured: max_accuracy_drop)"),
        (
            Budgets(max_accuracy_drop=1, min_cpu_agreement=1),
            {"unmeasured": "accuracy"},
            " (accuracy not measured: give --evaluation DATA with labels; not measured: min_cpu_agreement)",
        ),
        (
            Budgets(),
            {"unmeasured": "mIoU", "warned": 2},
            " (mIoU not measured: give --evaluation DATA with labels; 2 warnings above)",
        ),
        (Budgets(), {"recorded": ("accuracy", "speedup")}, " (accuracy and speedup as recorded, not measured here)"),
    ],
)
def test_the_last_line_says_what_the_verdict_does_not_rest_on(
    budgets: Budgets, given: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_verdict(judge(budgets, {}).entry, Path("out"), **given)
    assert capsys.readouterr().out.splitlines()[-1] == f"within budget{told}: out"


@pytest.mark.parametrize(("worst_db", "told"), [(19.9, True), (20.1, False)])
def test_a_slice_that_its_output_hides_is_told(worst_db: float, told: bool, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = _metrics(2.0, 1.9, 2.1)
    metrics["parity"]["compressed"]["worst_slice"] = {"name": "scores[:, 17]", "sqnr_db": worst_db}
    print_metrics(metrics)
    printed = capsys.readouterr().out
    assert "same class" not in printed  # nothing shows that there are classes
    assert ("worst slice" in printed and "scores[:, 17]" in printed) is told


@pytest.mark.parametrize(("same", "told"), [(0.99998, "99.9 %"), (1.0, "100.0 %"), (0.0001, "0.1 %"), (0.0, "0.0 %")])
def test_only_all_answers_alike_are_100_percent(same: float, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = _metrics(2.0, 1.9, 2.1)
    metrics["parity"]["compressed"]["top1_agreement"] = same
    print_metrics(metrics)
    assert f" {told} same class" in capsys.readouterr().out


@pytest.mark.parametrize(("same", "told"), [(0.999999, "99.99 %"), (1.0, "100.00 %"), (1e-6, "0.01 %")])
def test_nor_are_others_at_other_places(same: float, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"identical": False, "sqnr_db": 30.0, "max_abs_error": 0.5, "samples": 4, "failure": None}
    print_elsewhere(Elsewhere(cpus={"haswell": {**entry, "top1_agreement": same}}))
    assert f" {told} " in capsys.readouterr().out


def test_other_cpus_are_compared_in_what_is_known_of_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"identical": False, "sqnr_db": 30.0, "max_abs_error": 0.5, "samples": 4, "failure": None}
    silent = {**entry, "top1_agreement": None, "alike": 0.75, "lost": ["mask[:, 1]", "mask[:, 2]"]}
    print_elsewhere(Elsewhere(cpus={"haswell": silent}))
    printed = capsys.readouterr().out
    assert "to 25 dB" in printed
    assert "75.00 %" in printed
    assert "haswell: 'mask[:, 1]' and 1 more is lost there: zero, a constant or noise" in printed
    print_elsewhere(Elsewhere(cpus={"haswell": {**entry, "top1_agreement": 0.5}}))  # of a bundle of before
    printed = capsys.readouterr().out
    assert "same class" in printed
    assert "50.00 %" in printed


def test_nodes_that_an_npu_left_to_the_cpu_are_named_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = [
        RunNode(name=name, operator="Gemm", unit="CPU", precision="f32", why=f"no {name}", macs=1)
        for name in "abcdefghijkl"
    ]
    nodes = (RunNode(name="conv", operator="Conv", unit="NPU", precision="u8", macs=36), *cpu)
    whole = PlaceResult(place="whole", samples=1, nodes=nodes[:1])
    print_elsewhere(Elsewhere.of([PlaceResult(place="split", samples=1, nodes=nodes, unit="NPU"), whole]))
    printed = " ".join(capsys.readouterr().out.split())
    told = "split: of 13 nodes 1 on the NPU, with 75.00 % of the multiply-accumulates; on the CPU a (Gemm), b (Gemm), "
    assert told in printed
    assert "j (Gemm) and 2 more; a (Gemm): no a" in printed
    assert "1 of 13" in printed
    assert "1 of 1" in printed
    assert "whole:" not in printed
