"""Calls take turns, and are made anew for each stretch; the file runs where Python is old and nothing else is there."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from edgecompress.timing.interleaving import STRETCHES, WARM_UP_RUNS, in_turn, interleave, interleave_anew


def test_calls_take_turns() -> None:
    seen: list[str] = []
    times = interleave([lambda: seen.append("a"), lambda: seen.append("b")], runs=4)
    assert times.shape == (4, 2)
    assert "".join(seen) == "abba" * ((WARM_UP_RUNS + 4) // 2)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_each_call_follows_every_other_one_equally_often(count: int) -> None:
    rounds = [list(in_turn(count, number)) for number in range(2 * count)]
    assert all(sorted(order) == list(range(count)) for order in rounds)
    pairs = Counter(pair for order in rounds for pair in pairwise(order))
    assert len(pairs) == count * (count - 1)
    assert len({*pairs.values()}) == 1
    whole = [index for order in rounds for index in order]
    after_itself = Counter(left for left, right in pairwise([whole[-1], *whole]) if left == right)
    assert len({after_itself[index] for index in range(count)}) == 1


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
