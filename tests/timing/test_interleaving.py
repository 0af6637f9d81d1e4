"""Calls take turns, and are made anew for each stretch; the file runs where Python is old and nothing else is there."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgecompress.timing.interleaving import STRETCHES, WARM_UP_RUNS, interleave, interleave_anew


def test_calls_take_turns() -> None:
    seen: list[str] = []
    times = interleave([lambda: seen.append("a"), lambda: seen.append("b")], runs=4)
    assert times.shape == (4, 2)
    assert "".join(seen) == "abba" * ((WARM_UP_RUNS + 4) // 2)


def test_milliseconds_are_measured() -> None:
    times = interleave([lambda: time.sleep(0.004)], runs=10)
    assert np.median(times) >= 4


@pytest.mark.parametrize(("runs", "opened"), [(40, STRETCHES), (10, 5)])
def test_each_stretch_has_calls_of_its_own(runs: int, opened: int) -> None:
    seen: list[str] = []

    def opener(name: str) -> object:
        seen.append(name.upper())
        return lambda: seen.append(name)

    times = interleave_anew([lambda: opener("a"), lambda: opener("b")], runs)  # type: ignore[list-item,return-value]
    assert times.shape == (runs, 2)
    assert "".join(name for name in seen if name.isupper()) == ("ABBA" * opened)[: 2 * opened]
    assert seen.count("a") == seen.count("b") == runs + opened * WARM_UP_RUNS


@pytest.mark.parametrize(("asked", "taken"), [(1, 2), (10, 10), (15, 16), (100, 100), (101, 120)])
def test_stretches_are_alike_and_their_rounds_even(asked: int, taken: int) -> None:
    assert len(interleave_anew([lambda: int], asked)) == taken
