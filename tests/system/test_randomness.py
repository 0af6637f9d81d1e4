"""Seeds decide what is drawn, and leave the caller's generators alone."""

from __future__ import annotations

import random

import numpy as np
import torch

from edgecompress.system.randomness import RandomStates, own_randomness, seed_all


def _draw() -> tuple[float, float, float]:
    return torch.rand(1).item(), float(np.random.rand()), random.random()


def test_the_same_keys_draw_the_same() -> None:
    with own_randomness():
        drawn = []
        for keys in (("a", 1), ("a", 2), ("b", 1), ("a", 1)):
            seed_all(*keys)
            drawn.append(_draw())
    assert drawn[0] == drawn[3]
    for generator in range(3):
        assert len({each[generator] for each in drawn}) == 3


def test_the_callers_generators_go_on_as_if_nothing_had_been() -> None:
    before = RandomStates.now()
    expected = _draw()
    before.restore()
    with own_randomness():
        seed_all(3)
        _draw()
    assert _draw() == expected
