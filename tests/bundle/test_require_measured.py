"""What is only recorded, and how each budget is measured."""

from __future__ import annotations

from edgecompress.bundle.measured_rows import HERE, RECORDED, MeasuredRow
from edgecompress.bundle.require_measured import UNMEASURED, only_recorded, tell_unmeasured
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.budgets import MEASURES, judge
from tests.heard import Heard

ROWS = [
    MeasuredRow(measure="size_mb", value=1.0, unit="MB", source=HERE),
    MeasuredRow(measure="speedup", value=2.0, unit="x", source=RECORDED),
]
ON_A_BOARD = [
    MeasuredRow(measure="latency_ms", value=8.0, unit="ms", source=f"{source} on ssh://pi@board")
    for source in (RECORDED, "measured")
]
SOURCES = {"cpus": RECORDED, "browser": HERE, "runtimes": HERE}


def test_rows_places_and_the_metric_are_recorded_or_not() -> None:
    of_data = {"accuracy_drop", "metric_drop", "metric_kept", "metric"}
    assert only_recorded(ROWS, SOURCES, measured=True) == {"speedup", "cpu_agreement"}
    assert only_recorded(ROWS, SOURCES, measured=False) == {"speedup", "cpu_agreement", *of_data}


def test_what_a_device_measured_before_is_recorded() -> None:
    assert only_recorded(ON_A_BOARD[:1], {}, measured=True) == {"latency_ms"}
    assert only_recorded(ON_A_BOARD[1:], {}, measured=True) == set()


def test_what_an_npu_does_is_of_the_runtimes() -> None:
    sources = {"cpus": HERE, "browser": HERE, "runtimes": RECORDED}
    assert only_recorded([], sources, measured=True) == {"runtime_agreement", "cpu_nodes", "npu_share"}


def test_a_line_tells_how_what_is_not_measured_is() -> None:
    heard = Heard()
    budgets = Budgets(max_size_mb=2.0, min_speedup=1.0, min_metric=50.0, min_cpu_agreement=0.5)
    verdict = judge(budgets, {"size_mb": 1.0, "speedup": 2.0, "cpu_agreement": 1.0}).complete_without(
        only_recorded(ROWS, SOURCES, measured=True)
    )
    tell_unmeasured(verdict, heard)
    assert heard.lines == [
        "'min_metric' is not measured; give labelled --evaluation data",
        "'min_speedup' is only recorded; give the float model (--original)",
        "'min_cpu_agreement' is only recorded; name a CPU with --cpu",
    ]
    assert verdict.outcome == "undecided"


def test_whatever_may_be_recorded_can_be_measured() -> None:
    always = {"latency_ms", "latency_p95_ms", "latency_p99_ms", "size_mb"}
    assert {measure for measure, _ in MEASURES.values()} == {*UNMEASURED} | always
