"""Settling: as many runs as the noise needs, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecompress.timing.settling import FINE, PATIENCE, settle

RUNS = 100


class Machine:
    """Two files of equal speed, each run with its own noise of that deviation."""

    def __init__(self, deviation: float, seed: int = 0) -> None:
        self.taken, self.deviation, self.generator = 0, deviation, np.random.default_rng(seed)

    def measure(self) -> NDArray[np.float64]:
        self.taken += 1
        return np.exp(self.generator.normal(0, self.deviation, (RUNS, 2)))


def test_a_quiet_machine_is_asked_once() -> None:
    machine = Machine(0.01)
    times, (first, second) = settle(machine.measure)
    assert (machine.taken, times.shape) == (1, (RUNS, 2))
    assert (first.low, first.high) == (1, 1)
    assert second.resolution <= FINE


def test_a_noisy_machine_is_asked_until_the_interval_is_narrow() -> None:
    machine = Machine(0.1)
    times, (_, second) = settle(machine.measure)
    assert 1 < machine.taken < PATIENCE
    assert times.shape == (machine.taken * RUNS, 2)
    assert second.resolution <= FINE


def test_patience_ends() -> None:
    machine = Machine(2.0)
    times, (_, second) = settle(machine.measure)
    assert (machine.taken, len(times)) == (PATIENCE, PATIENCE * RUNS)
    assert second.resolution > FINE


@pytest.mark.parametrize("deviation", [0.01, 0.06])
def test_waiting_for_a_narrow_interval_makes_it_no_less_true(deviation: float) -> None:
    held = 0
    for seed in range(40):
        _, (_, ratio) = settle(Machine(deviation, seed).measure)
        held += ratio.low <= 1 <= ratio.high
    assert held / 40 >= 0.85  # 95 % +- 3.4
