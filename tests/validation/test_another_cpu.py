"""What is said of latencies where the target has another CPU than this machine."""

from __future__ import annotations

import pytest

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Cpu, Isa, Quantization, Recipe
from edgecompress.validation.another_cpu import decided_here, left_open, left_open_in_words
from edgecompress.validation.budgets import judge

ARM: Isa = "armv8.2-dotprod"
LIMITS = Budgets(min_speedup=2.0, max_latency_ms=5.0, max_size_mb=3.0)
RECIPE = Recipe(cpu=Cpu(isa=ARM), quantization=Quantization(enabled=True))
THERE = f"the target's CPU is {ARM}, this machine's x86-vnni"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.host_isa", lambda: "x86-vnni")


def test_what_nothing_measured_is_left_open_by_another_cpu_only() -> None:
    verdict = judge(LIMITS, {"size_mb": 1.0})
    assert left_open(verdict.checks, RECIPE) == ["min_speedup", "max_latency_ms"]
    assert left_open(judge(LIMITS, {"size_mb": 1.0, "speedup": 3.0}).checks, RECIPE) == ["max_latency_ms"]
    assert left_open(verdict.checks, RECIPE.model_copy(update={"cpu": Cpu(isa="x86-vnni")})) == []


def test_a_float_artifact_is_no_faster_than_itself_on_any_cpu() -> None:
    assert left_open(judge(LIMITS, {"size_mb": 1.0}).checks, Recipe(cpu=Cpu(isa=ARM))) == ["max_latency_ms"]


@pytest.mark.parametrize(
    ("budgets", "isa", "timed", "original", "told"),
    [
        (
            ["min_speedup"],
            ARM,
            (),
            False,
            f"min_speedup is not measured: {THERE}; to time it there, give --device ssh://HOST or adb://SERIAL and the"
            " float model (--original), or drop it with --min-speedup none",
        ),
        (
            ["min_speedup", "max_latency_ms"],
            ARM,
            (),
            True,
            f"min_speedup, max_latency_ms are not measured: {THERE}; to time it there, give --device ssh://HOST or"
            " adb://SERIAL, or drop them with --min-speedup none --max-latency-ms none",
        ),
        (
            ["min_speedup"],
            ARM,
            ("latency_ms",),
            False,
            "min_speedup is not measured; give the float model (--original), which is timed in turn, or drop it with"
            " --min-speedup none",
        ),
        (
            ["min_speedup"],
            "wasm",
            (),
            False,
            "min_speedup is not measured: the target's CPU is wasm, this machine's x86-vnni; time it in the browser, or"
            " drop it with --min-speedup none",
        ),
    ],
)
def test_what_helps_is_what_is_lacking(
    budgets: list[str], isa: Isa, timed: tuple[str, ...], original: bool, told: str
) -> None:
    assert left_open_in_words(budgets, isa, timed=timed, original=original) == told


def test_who_asks_for_it_here_is_told_whose_times_decide() -> None:
    told = (
        f"min_speedup is asked for, and decided by this machine's times: {THERE}; to time it there, give --device"
        " ssh://HOST or adb://SERIAL"
    )
    assert decided_here(["min_speedup", "max_size_mb"], {"speedup", "size_mb"}, ARM) == told
    assert decided_here(["min_speedup"], {"size_mb"}, ARM) is None  # what is only recorded, or of a device
    assert decided_here(["max_size_mb"], {"speedup", "size_mb"}, ARM) is None
    assert decided_here(["min_speedup"], {"speedup"}, "x86-vnni") is None
