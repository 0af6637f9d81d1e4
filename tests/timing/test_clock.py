"""This machine as a clock: networks in turn, and operators that take longer where they are larger."""

from __future__ import annotations

import numpy as np

from edgecompress.pruning.channels.operator_times import Operator, single
from edgecompress.timing.clock import OwnClock
from tests.exporters.graphs import draw, graph

ALONE = (("group", 1),)


def test_every_network_has_a_time_in_every_run() -> None:
    small, large = (graph("y = Conv(x, w)", w=draw(width, 4, 3, 3)) for width in (1, 64))
    times = OwnClock(threads=1).networks([small, large], {"x": np.zeros((64, 4, 8, 8), np.float32)}, 10)
    assert times.shape == (10, 2)
    assert times[:, 1].min() > times[:, 0].min() > 0


def test_every_operator_has_a_time() -> None:
    layers = [
        Operator(source=(1, 4, side, side), weight=(8, 4, 3, 3), kind="Conv", settings=ALONE) for side in (8, 128)
    ]
    first, last = OwnClock(threads=1).operators(single(layer, 4, 8) for layer in layers)
    assert last > first > 0
