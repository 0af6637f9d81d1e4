"""Each target has a reason of its own, and a strategy for a device computes as the device's profile does."""

from __future__ import annotations

from typing import Any

import pytest

from edgecompress.recipe.overrides import override
from edgecompress.targets import device_names, load_profile, profile_names, strategy_names
from edgecompress.targets.effects import EFFECTS
from edgecompress.targets.reasons import reasons, settings_for, what_decided
from edgecompress.targets.rules import Case, Constraints, find_cpu_or_device


def _reasons(target: str, *decided_by: str, cpu: str | None = None) -> list[str]:
    isa, device = (None, None) if cpu is None else find_cpu_or_device(cpu)
    case = Case(profile=load_profile(target), constraints=Constraints(isa=isa, device=device), prediction=None)
    return [*reasons(case, decided_by)]


@pytest.mark.parametrize(
    ("target", "cpu", "told"),
    [
        ("raspberry-pi-5", "raspberry pi 5", "made for this device"),
        ("raspberry-pi-5", "cortex-a76", "made for armv8.2-dotprod"),
        ("cloud", "icelake", "its numbers of channels suit x86-vnni"),
        ("mobile", "icelake", "gives the same answers on x86-vnni"),
    ],
)
def test_what_a_target_has_to_do_with_the_cpu(target: str, cpu: str, told: str) -> None:
    assert _reasons(target, cpu=cpu)[0] == told


def test_what_decided_is_told_with_what_was_measured() -> None:
    figures = [each.smaller for each in EFFECTS[("quantization",)].references]
    told = _reasons("mobile", "max_size_mb", "max_accuracy_drop")
    assert told == [
        f"measured {min(figures):.1f} to {max(figures):.1f} times smaller",
        "0.3 points of accuracy to be expected",
        "needs no training data",
    ]
    assert _reasons("realtime", "max_latency_ms") == ["measured 2.2 times as fast", "needs training data"]


@pytest.mark.parametrize(
    ("asked", "decided_by", "cpu", "trains", "told"),
    [
        ({}, (), None, False, "because it needs no training data, and nothing else was asked"),
        ({}, ("cpu",), "raspberry pi 5", False, "because of --cpu 'raspberry pi 5'"),
        ({}, (), "cortex-a72", False, "because it needs no training data; --cpu cortex-a72 did not decide"),
        ({"max_latency_ms": 5.0, "train_data": False}, ("train_data",), None, False, "because of --no-train-data"),
        (
            {"max_latency_ms": 5.0, "train_data": True},
            ("max_latency_ms",),
            None,
            True,
            "because of --max-latency-ms 5 and --train-data",
        ),
        (
            {"max_latency_ms": 5.0, "max_size_mb": 1.0, "train_data": True},
            ("max_size_mb",),
            "avx2",
            False,
            "because of --max-size-mb 1",
        ),
        ({"max_latency_ms": 1234567.5}, ("max_latency_ms",), None, False, "because of --max-latency-ms 1234567.5"),
    ],
)
def test_the_facts_of_the_user_s_that_decided_are_told(
    asked: dict[str, Any], decided_by: tuple[str, ...], cpu: str | None, trains: bool, told: str
) -> None:
    assert what_decided(Constraints(**asked), decided_by, cpu, trains=trains) == told


def test_a_limit_becomes_a_budget_with_all_of_its_digits() -> None:
    assert Constraints(max_latency_ms=1234567.5, max_size_mb=2.0).overrides == (
        "budgets.max_size_mb=2",
        "budgets.max_latency_ms=1234567.5",
    )


def test_no_two_targets_for_a_cpu_have_the_same_line() -> None:
    lines = [
        f"{load_profile(name).reason}: {_reasons(name, cpu='rpi5')}" for name in (*strategy_names(), "raspberry-pi-5")
    ]
    assert len(lines) == len({*lines})


@pytest.mark.parametrize("device", device_names())
@pytest.mark.parametrize("strategy", strategy_names())
def test_a_strategy_for_a_device_has_its_cpu_threads_and_scheme(strategy: str, device: str) -> None:
    profile, of_the_device = load_profile(strategy), load_profile(device).recipe
    constraints = Constraints(isa=of_the_device.cpu.isa, device=device)
    made = override(profile.recipe, settings_for(profile, constraints))
    assert (made.cpu.isa, made.cpu.threads) == (of_the_device.cpu.isa, of_the_device.cpu.threads)
    if made.quantization.enabled:
        assert made.quantization.scheme == of_the_device.quantization.scheme
    if made.pruning.enabled:
        assert made.pruning.multiple == of_the_device.pruning.multiple
    assert made.techniques == profile.recipe.techniques


def test_a_family_sets_what_is_known_of_it_and_a_device_nothing_over_its_own() -> None:
    arm, edge = Constraints(isa="armv8.0"), load_profile("edge")
    assert settings_for(edge, arm) == ("cpu.isa=armv8.0", "quantization.scheme=qnnpack")
    assert settings_for(edge, Constraints(isa="x86-avx2")) == ("cpu.isa=x86-avx2",)
    assert settings_for(edge, Constraints()) == ()
    for name in device_names():
        assert settings_for(load_profile(name), Constraints(isa="x86-vnni")) == ()
    assert {*profile_names()} == {*strategy_names(), *device_names()}
