"""Which profile is recommended under hand-written constraints, why, and what is rejected."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.errors import RecipeError
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.targets import device_names, effective_profile, load_profile, profile_names, strategy_names
from edgecompress.targets.effects import LATENCY_ERROR, SIZE_ERROR, MeasuredFloat
from edgecompress.targets.recommendation import Recommendation, recommend
from edgecompress.targets.rules import SERVES, Constraints, find_cpu_or_device

PROFILES = [load_profile(name) for name in profile_names()]
MOBILENET = MeasuredFloat(size_mb=10.33, latency_ms=7.0)
RESNET_20 = MeasuredFloat(size_mb=1.09, latency_ms=0.8)
SMALLER, BOTH, ACCURATE, LESS = (
    "much smaller model",
    "both effects together",
    "keeps accuracy",
    "less computation",
)


def _recommend(cpu: str | None = None, measured: MeasuredFloat | None = None, **limits: Any) -> Recommendation:
    isa, device = (None, None) if cpu is None else find_cpu_or_device(cpu)
    return recommend(PROFILES, Constraints(isa=isa, device=device, **limits), measured)


TRAINED = {"train_data": True}
TABLE: list[tuple[dict[str, Any], str, str, tuple[str, ...]]] = [
    # nothing is asked: what needs no training data
    ({}, "mobile", SMALLER, ()),
    ({"train_data": True}, "mobile", SMALLER, ()),
    ({"train_data": False}, "mobile", SMALLER, ()),
    # one limit, nothing measured
    ({"max_size_mb": 3}, "mobile", SMALLER, ("max_size_mb",)),
    ({**TRAINED, "max_latency_ms": 30}, "realtime", ACCURATE, ("max_latency_ms",)),
    ({"max_latency_ms": 30, "train_data": False}, "mobile", SMALLER, ("train_data",)),
    ({**TRAINED, "max_accuracy_drop": 1}, "realtime", ACCURATE, ("max_accuracy_drop",)),
    ({"max_accuracy_drop": 1, "train_data": False}, "mobile", SMALLER, ("train_data", "max_accuracy_drop")),
    ({"max_accuracy_drop": 0.2}, "mobile", SMALLER, ("max_accuracy_drop",)),
    # two and three limits
    ({**TRAINED, "max_size_mb": 3, "max_latency_ms": 30}, "edge", BOTH, ("max_size_mb", "max_latency_ms")),
    ({"max_size_mb": 3, "max_latency_ms": 30, "train_data": False}, "mobile", SMALLER, ("train_data", "max_size_mb")),
    (
        {**TRAINED, "max_latency_ms": 5, "max_accuracy_drop": 1},
        "realtime",
        ACCURATE,
        ("max_latency_ms", "max_accuracy_drop"),
    ),
    ({"max_size_mb": 3, "max_accuracy_drop": 1}, "mobile", SMALLER, ("max_size_mb", "max_accuracy_drop")),
    (
        {"max_size_mb": 3, "max_latency_ms": 9, "max_accuracy_drop": 1},
        "mobile",
        SMALLER,
        ("max_size_mb", "max_accuracy_drop"),
    ),
    # the CPU
    ({**TRAINED, "cpu": "raspberry-pi-4"}, "raspberry-pi-4", BOTH, ("cpu",)),
    ({**TRAINED, "cpu": "cortex-a72"}, "raspberry-pi-4", BOTH, ("cpu",)),
    ({"cpu": "raspberry-pi-4", "train_data": False}, "mobile", SMALLER, ("train_data",)),
    ({"cpu": "raspberry-pi-5"}, "raspberry-pi-5", SMALLER, ("cpu",)),
    ({"cpu": "android", "max_size_mb": 5}, "android", SMALLER, ("cpu", "max_size_mb")),
    ({"cpu": "Snapdragon 8 Elite"}, "snapdragon", SMALLER, ("cpu",)),
    ({"cpu": "Snapdragon 888"}, "snapdragon", SMALLER, ("cpu",)),
    ({"cpu": "snapdragon888"}, "snapdragon", SMALLER, ("cpu",)),
    ({"cpu": "Snapdragon 855"}, "android", SMALLER, ("cpu",)),
    ({"cpu": "snapdragon 778G"}, "android", SMALLER, ("cpu",)),
    ({"cpu": "haswell"}, "mini-pc", SMALLER, ("cpu",)),
    ({**TRAINED, "cpu": "haswell", "max_latency_ms": 5}, "realtime", ACCURATE, ("max_latency_ms",)),
    ({"cpu": "haswell", "max_latency_ms": 5, "train_data": False}, "mini-pc", SMALLER, ("cpu", "train_data")),
    ({**TRAINED, "cpu": "x86-avx512"}, "cloud", LESS, ("cpu",)),
    ({"cpu": "x86-avx512", "train_data": False}, "mini-pc", SMALLER, ("cpu", "train_data")),
    ({**TRAINED, "cpu": "icelake"}, "vnni-server", BOTH, ("cpu",)),
    ({**TRAINED, "cpu": "icelake", "max_accuracy_drop": 1}, "realtime", ACCURATE, ("max_accuracy_drop",)),
    ({"cpu": "icelake", "train_data": False}, "mobile", SMALLER, ("train_data",)),
    ({"cpu": "browser", "max_size_mb": 5}, "browser", SMALLER, ("cpu", "max_size_mb")),
    # what the model will become
    ({"measured": MOBILENET, "max_size_mb": 2.9}, "mobile", SMALLER, ("max_size_mb",)),
    ({"measured": MOBILENET, "max_size_mb": 2.5}, "edge", BOTH, ("max_size_mb",)),
    ({"measured": MOBILENET, "max_latency_ms": 2.6}, "realtime", ACCURATE, ("max_latency_ms",)),
    ({"measured": MOBILENET, "max_latency_ms": 3.5, "train_data": False}, "mobile", SMALLER, ("train_data",)),
    (
        {"measured": RESNET_20, "max_size_mb": 0.25, "max_latency_ms": 0.5},
        "edge",
        BOTH,
        ("max_size_mb", "max_latency_ms"),
    ),
]


@pytest.mark.parametrize(("asked", "target", "reason", "decided_by"), TABLE)
def test_the_first_is_the_expected_one(
    asked: dict[str, Any], target: str, reason: str, decided_by: tuple[str, ...]
) -> None:
    first = _recommend(**asked).ranked[0]
    assert (first.profile.name, first.profile.reason, first.decided_by) == (target, reason, decided_by)
    assert first.reason.startswith(reason)


@pytest.mark.parametrize("trained", [True, False])
def test_the_page_says_which_target_limits_lead_to(trained: bool) -> None:
    text = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    rows = re.findall(r"^\| (.+) \| `(\w+)`: ", text.partition("| limits on | target |")[2].partition("\n\n")[0], re.M)
    limits: dict[str, dict[str, Any]] = {"nothing": {}, "size": {"max_size_mb": 3}, "latency": {"max_latency_ms": 30}}
    limits["accuracy"] = {"max_accuracy_drop": 2.5}
    found = {}
    for words, target in rows:
        for case in words.split("; "):
            asked = {key: value for word in re.split(r", | and ", case) for key, value in limits[word].items()}
            found[tuple(sorted(asked))] = target
            assert _recommend(**asked, train_data=trained).ranked[0].profile.name == (target if trained else "mobile")
    assert len(found) == 2**3


def test_a_chip_with_an_npu_is_offered_a_target_for_its_cpu_next() -> None:
    first, second = _recommend(cpu="Snapdragon 8 Gen 3").ranked[:2]
    assert (first.profile.name, first.why[0]) == ("snapdragon", "made for the NPU of this device, an 888 or later")
    assert (second.profile.name, second.why[0]) == ("android", "made for the CPU of this device")


@pytest.mark.parametrize("asked", [{key: asked[key] for key in asked if key != "train_data"} for asked, *_ in TABLE])
def test_before_it_is_known_that_there_is_training_data_what_needs_none_comes_first(asked: dict[str, Any]) -> None:
    ranked = _recommend(**asked).ranked
    trains = [(bool(each.uncertain), each.profile.recipe.trains) for each in ranked]
    assert trains == sorted(trains)
    known = _recommend(**asked, train_data=True).ranked
    assert {each.profile.name for each in known} == {each.profile.name for each in ranked}


@pytest.mark.parametrize(
    ("asked", "target", "constraint", "why"),
    [
        ({"train_data": False}, "edge", "train_data", "a pruned network needs training data to recover"),
        ({"train_data": False}, "realtime", "train_data", "a student learns from training data"),
        ({"cpu": "haswell"}, "mobile", "cpu", "its 8-bit products saturate on x86-avx2, which gives other answers"),
        ({"cpu": "haswell"}, "raspberry-pi-5", "cpu", "made for armv8.2-dotprod"),
        ({"cpu": "raspberry-pi-5"}, "android", "cpu", "made for another device"),
        ({"cpu": "cortex-a76"}, "snapdragon", "cpu", "made for the runtime qnn:sm8650"),
        ({"cpu": "Snapdragon 855"}, "snapdragon", "cpu", "made for the runtime qnn:sm8650"),
        ({"cpu": "haswell"}, "openvino-cpu", "cpu", "made for the runtime openvino:CPU"),
        ({"max_accuracy_drop": 1.5}, "edge", "max_accuracy_drop", "2 points are to be expected"),
        ({"max_accuracy_drop": -1}, "mobile", "max_accuracy_drop", "0.3 points are to be expected"),
        ({"measured": MOBILENET, "max_size_mb": 1.9}, "mobile", "max_size_mb", "2.66 MB predicted"),
        ({"measured": MOBILENET, "max_latency_ms": 2.1}, "mobile", "max_latency_ms", "2.82 ms predicted"),
    ],
)
def test_what_is_rejected_says_why(asked: dict[str, Any], target: str, constraint: str, why: str) -> None:
    rejected = {each.profile.name: (each.constraint, each.why) for each in _recommend(**asked).rejected}
    assert rejected[target] == (constraint, why)


@pytest.mark.parametrize("asked", [asked for asked, *_ in TABLE])
def test_every_profile_is_ranked_or_rejected_once(asked: dict[str, Any]) -> None:
    found = _recommend(**asked)
    names = [each.profile.name for each in found.ranked] + [each.profile.name for each in found.rejected]
    assert sorted(names) == sorted(profile_names() if "cpu" in asked else strategy_names())
    assert all((each.prediction is not None) == ("measured" in asked) for each in found.ranked)


def test_what_is_left_keeps_the_limits_as_predicted() -> None:
    found = _recommend(measured=MOBILENET, max_size_mb=3, max_latency_ms=3.2)
    predictions = [each.prediction for each in found.ranked if not each.uncertain]
    assert predictions
    assert all(
        prediction is not None and prediction.size_mb <= 3 and (prediction.latency_ms or 9) <= 3.2
        for prediction in predictions
    )


LIMIT_ERRORS = [("max_size_mb", 10.33 / 3.88, "MB", SIZE_ERROR), ("max_latency_ms", 7.0 / 2.48, "ms", LATENCY_ERROR)]


@pytest.mark.parametrize(("limit", "predicted", "unit", "error"), LIMIT_ERRORS)
def test_a_limit_that_is_missed_by_less_than_the_error_rejects_nothing(
    limit: str, predicted: float, unit: str, error: float
) -> None:
    """MobileNet by target mobile: what keeps the limit is sure, what misses it by little not, what by more goes."""
    for missed_by, expected in ((0.999, "sure"), (1.001, "uncertain"), (0.99 * (1 + error), "uncertain")):
        asked: dict[str, Any] = {limit: predicted / missed_by}
        found = _recommend(measured=MOBILENET, train_data=False, **asked)
        (only,) = found.ranked
        why = f"{predicted:.2f} {unit} predicted, and predictions err by up to {100 * error:.0f} %"
        assert (only.profile.name, only.uncertain) == ("mobile", {limit: why} if expected == "uncertain" else {})
    beyond: dict[str, Any] = {limit: predicted / (1.01 * (1 + error))}
    assert _recommend(measured=MOBILENET, train_data=False, **beyond).ranked == ()


@given(st.floats(0.5, 5), st.floats(1, 6), st.booleans())
def test_what_may_miss_a_limit_comes_after_what_keeps_all(size_mb: float, latency_ms: float, trained: bool) -> None:
    ranked = _recommend(measured=MOBILENET, train_data=trained, max_size_mb=size_mb, max_latency_ms=latency_ms).ranked
    doubted = [bool(each.uncertain) for each in ranked]
    assert doubted == sorted(doubted)


def test_a_limit_that_puts_a_better_target_behind_decides() -> None:
    """A student serves a limit on latency no more than pruning and quantization, and size not at all."""
    first, second = _recommend(measured=MOBILENET, train_data=True, max_size_mb=8, max_latency_ms=2.1).ranked[:2]
    assert (first.profile.name, second.profile.name) == ("realtime", "edge")
    assert set(second.uncertain) == {"max_latency_ms"}
    assert "max_latency_ms" in first.decided_by


def test_an_unknown_latency_rejects_nothing() -> None:
    """However tight the limit: what another CPU takes cannot be known from this one."""
    unknown = MeasuredFloat(size_mb=10.33, latency_ms=None)
    found = _recommend("raspberry-pi-4", unknown, max_latency_ms=0.001)
    assert not [each for each in found.rejected if each.constraint == "max_latency_ms"]
    known = _recommend("raspberry-pi-4", MOBILENET, max_latency_ms=0.001)
    assert [each for each in known.rejected if each.constraint == "max_latency_ms"]


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(0.1, 100))
def test_a_limit_for_another_cpu_is_no_limit_for_this_one(limit: float, size_mb: float, float_ms: float) -> None:
    constraints = Constraints(max_latency_ms=limit, max_size_mb=size_mb)
    (size,) = constraints.budgets(None, foreign=True)
    key, _, text = size.partition("=")
    assert (key, float(text)) == ("budgets.max_size_mb", size_mb)
    assert constraints.budgets(float_ms, foreign=True) == (size, f"budgets.min_speedup={float_ms / limit:g}")
    assert constraints.budgets(None, foreign=False) == constraints.overrides


def test_nothing_may_be_left() -> None:
    found = _recommend(measured=MOBILENET, max_size_mb=0.1)
    assert found.ranked == ()
    assert {each.constraint for each in found.rejected} == {"max_size_mb"}


def test_a_profile_of_one_s_own_is_ranked_too() -> None:
    own = effective_profile("mobile", ["low_rank.enabled=true"])
    assert recommend([own], Constraints(max_size_mb=1.0)).ranked[0].profile == own


def test_limits_become_budgets() -> None:
    limits = Constraints(max_size_mb=2.5, max_accuracy_drop=1)
    budgets = override(Recipe(), limits.overrides).budgets
    assert (budgets.max_size_mb, budgets.max_accuracy_drop, budgets.max_latency_ms) == (2.5, 1.0, None)


def test_every_strategy_is_judged_for_every_limit() -> None:
    for name in strategy_names():
        serves = SERVES[load_profile(name).recipe.techniques]
        assert set(serves) == {"max_size_mb", "max_latency_ms", "max_accuracy_drop"}


def test_a_device_stands_for_its_cpu_and_an_unknown_one_gets_the_nearest() -> None:
    assert {find_cpu_or_device(name)[1] for name in device_names()} == set(device_names())
    assert find_cpu_or_device("Galaxy S24")[1] == "android"
    with pytest.raises(RecipeError, match=r"unknown CPU 'rasberry-pi-4'; did you mean 'raspberry-pi-4'\?"):
        find_cpu_or_device("rasberry-pi-4")


@pytest.mark.parametrize("device", ["jetson orin", "iphone 15", "raspberry pi 3", "apple-m1"])
def test_a_device_without_a_profile_gets_a_strategy_for_its_cpu_and_no_other_device_s(device: str) -> None:
    isa, _ = find_cpu_or_device(device)
    found = _recommend(device)
    assert found.ranked[0].profile.name == "mobile"
    assert found.ranked[0].settings == (f"cpu.isa={isa}",)
    assert not {choice.profile.name for choice in found.ranked} & {*device_names()}
    assert {each.why for each in found.rejected if each.profile.recipe.cpu.isa == isa} <= {
        "made for another device",
        "made for the runtime qnn:sm8650",
    }
