"""The front holds what no other trial beats; the knee and the choice are of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.comparison.search.front import beaten_by, beats, choose_trial, front_of, knee_of
from edgecompress.comparison.search.trial import Measures
from edgecompress.targets import load_profile
from tests.comparison.search.measures import measures

MADE_UP = st.builds(
    lambda drop, speedup, width, size: measures(
        drop, speedup, size, speedup_interval_95=(speedup - width, speedup + width)
    ),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.floats(1, 3),
    st.floats(0, 0.5),
    st.sampled_from([500, 1000, 2000]),
)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (measures(0.0, 2.0, 900), measures(0.0, 2.0, 1000), True),
        (measures(0.0, 2.0, 1000), measures(0.0, 2.0, 1000), False),
        (measures(0.0, 2.1, 1000), measures(0.0, 2.0, 1000), True),
        (measures(0.0, 2.015, 1000), measures(0.0, 2.0, 1000), False),  # the intervals overlap
        (measures(0.0, 1.985, 900), measures(0.0, 2.0, 1000), True),  # no slower beyond noise
        (measures(0.0, 1.9, 900), measures(0.0, 2.0, 1000), False),
        (measures(0.1, 3.0, 500), measures(0.0, 2.0, 1000), False),
        (measures(-0.1, 2.0, 1000), measures(0.0, 2.0, 1000), True),
    ],
)
def test_a_trial_beats_what_is_no_better_in_anything(first: Measures, second: Measures, expected: bool) -> None:
    assert beats(first, second) is expected


@given(st.lists(MADE_UP, min_size=1, max_size=12))
def test_what_is_left_out_is_beaten_by_the_front_or_its_like_and_nothing_in_it_is(found: list[Measures]) -> None:
    measured = dict(enumerate(found))
    front = front_of(measured)
    assert front
    kept = [measured[number] for number in front]
    assert not any(beats(first, second) for first in kept for second in kept)
    for number in measured.keys() - {*front}:
        out = measured[number]
        like = [each for each in kept if each.objectives[::2] == out.objectives[::2] and each.speedup >= out.speedup]
        assert like or any(beats(each, out) for each in kept)


@given(st.lists(MADE_UP, min_size=1, max_size=8), st.randoms())
def test_the_order_of_the_trials_changes_nothing(found: list[Measures], random: object) -> None:
    measured = dict(enumerate(found))
    numbers = list(measured)
    random.shuffle(numbers)  # type: ignore[attr-defined]
    assert front_of({number: measured[number] for number in numbers}) == front_of(measured)


def test_the_best_metric_comes_first() -> None:
    assert front_of({0: measures(1.0, 3.0), 1: measures(0.0, 2.0), 2: measures(1.0, 2.0)}) == (1, 0)


def test_the_knee_is_nearest_to_the_best_of_all_three() -> None:
    measured = {0: measures(0.0, 1.0, 2000), 1: measures(0.2, 2.8, 1100), 2: measures(2.0, 3.0, 1000)}
    assert knee_of(measured, (0, 1, 2)) == 1
    assert knee_of(measured, (0, 1)) is None


ON_THE_FRONT = {0: measures(0.0, 2.0, 1200), 1: measures(1.0, 2.1, 1000), 2: measures(0.9, 4.0, 1300)}


@pytest.mark.parametrize(("target", "expected"), [("mobile", 1), ("edge", 2), ("realtime", 2), ("cloud", 0)])
def test_the_target_chooses_by_what_its_strategy_is_for(target: str, expected: int) -> None:
    chosen = choose_trial(ON_THE_FRONT, (0, 1, 2), load_profile(target))
    assert chosen.number == expected
    assert f"the best of 3 trials that keep the budgets of {target}" in chosen.reason


def test_what_misses_a_budget_is_not_chosen() -> None:
    missed = {**ON_THE_FRONT, 1: replace(ON_THE_FRONT[1], outcome="fail", missed=("max_accuracy_drop",))}
    assert choose_trial(missed, (0, 1, 2), load_profile("mobile")).number == 0
    only = {0: ON_THE_FRONT[0], 1: missed[1]}
    assert choose_trial(only, (0, 1), load_profile("mobile")).reason.startswith("the only trial of the front")


def test_a_budget_that_nothing_measured_is_named_with_the_choice() -> None:
    unknown = {number: replace(found, unmeasured=("min_speedup",)) for number, found in ON_THE_FRONT.items()}
    told = "; min_speedup is not measured on the target's CPU, and not counted: validate the trial on your device"
    assert choose_trial(unknown, (0, 1, 2), load_profile("android")).reason.endswith(
        f"{told} (--device) with the float model (--original)"
    )
    assert "that keep the other budgets of android" in choose_trial(unknown, (0, 1, 2), load_profile("android")).reason
    assert "not counted" not in choose_trial(ON_THE_FRONT, (0, 1, 2), load_profile("android")).reason


def test_other_budgets_and_a_browser_s_wait_for_no_device() -> None:
    left = ("min_browser_agreement", "min_speedup")
    unknown = {number: replace(found, unmeasured=left) for number, found in ON_THE_FRONT.items()}
    assert choose_trial(unknown, (0, 1, 2), load_profile("browser")).reason.endswith(
        "; min_browser_agreement is not measured, and not counted; min_speedup is not measured on the target's CPU, and"
        " not counted: time the trial in the browser"
    )


MISSED = {
    0: measures(0.0, 2.0, 1000, outcome="fail", missed=("max_latency_ms",)),
    1: measures(5.0, 3.0, 500, outcome="undecided"),
}
"""The front of a study in which no trial of the front keeps the budgets."""


def test_a_trial_that_keeps_the_budgets_is_chosen_though_others_beat_it() -> None:
    measured = {**MISSED, 2: measures(0.0, 2.005, 1001), 3: measures(0.0, 2.005, 1002)}
    front = front_of(measured)
    assert front == (0, 1)
    chosen = choose_trial(measured, front, load_profile("mobile"))
    assert chosen.number == 2
    assert chosen.reason == (
        "the only trial that keeps the budgets of mobile; no trial of the front is sure to keep them"
    )


def test_among_trials_that_others_beat_the_target_chooses_as_among_those_of_the_front() -> None:
    kept = {number + 2: found for number, found in ON_THE_FRONT.items()}
    beating = {0: measures(-1.0, 5.0, 900, outcome="fail", missed=("min_speedup",))}
    measured = {**beating, **kept}
    assert front_of(measured) == (0,)
    chosen = choose_trial(measured, (0,), load_profile("edge"))
    assert chosen.number == 4
    assert chosen.reason.startswith("the best of 3 trials that keep the budgets of edge")
    assert chosen.reason.endswith("; no trial of the front is sure to keep them")


def test_where_none_is_within_the_budget_that_is_missed_most_is_named() -> None:
    outcomes = [("min_speedup",), ("max_accuracy_drop", "min_speedup"), ("max_accuracy_drop", "min_speedup")]
    missed = {
        number: replace(ON_THE_FRONT[number], outcome="fail", missed=names) for number, names in enumerate(outcomes)
    }
    chosen = choose_trial(missed, (0, 1, 2), load_profile("mobile"))
    assert chosen.number is None
    assert chosen.reason == (
        "no trial of the front keeps all budgets, min_speedup is missed by 3 of 3; give more trials (--trials), or set"
        " budgets.min_speedup=LIMIT and another output (--output)"
    )


@pytest.mark.parametrize(
    ("unsure", "told"),
    [
        ({1: ("min_speedup",)}, "trial 1 misses no budget, but min_speedup is too noisy to say; set cpu.runs=1000"),
        (
            {1: ("min_speedup",), 2: ("max_latency_ms", "min_speedup")},
            "2 trials miss no budget, but max_latency_ms, min_speedup are too noisy to say; set cpu.runs=1000",
        ),
        ({2: ()}, "trial 2 misses no budget, but the machine is too noisy to say; set cpu.runs=1000"),  # of before
    ],
)
def test_a_trial_that_only_noise_keeps_from_being_chosen_is_told_before_what_others_miss(
    unsure: dict[int, tuple[str, ...]], told: str
) -> None:
    found = {
        number: replace(trial, outcome="undecided", undecided=unsure[number])
        if number in unsure
        else replace(trial, outcome="fail", missed=("max_accuracy_drop",), undecided=("min_speedup",))
        for number, trial in ON_THE_FRONT.items()
    }
    for front in ((0, 1, 2), (0,)):
        chosen = choose_trial(found, front, load_profile("mobile"))
        assert chosen.number is None
        assert chosen.reason == f"{told} or stop other programs, and give another output (--output)"


def test_what_is_not_of_the_front_is_left_out_for_trials_of_it() -> None:
    found = {0: measures(0.0, 2.0, 2000), 1: measures(0.5, 3.0, 1000), 2: measures(0.5, 2.999, 1000)}
    found |= {3: measures(9.0, 1.5, 1500), 4: measures(9.0, 1.5, 2500)}
    front = front_of(found)
    assert front == (0, 1)
    assert beaten_by(found, front) == {2: (1,), 3: (1,), 4: (0, 1)}
    assert beaten_by(found, (0, 1, 2, 3, 4)) == {}
