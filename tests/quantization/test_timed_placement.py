"""What is measured decides, and only beyond doubt; every candidate computes what the network computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecompress.metrics.agreement import Agreement
from edgecompress.quantization.kept_float import BY_TIME
from edgecompress.quantization.lowering import Lowering, floating
from edgecompress.quantization.timed_parts import movable
from edgecompress.quantization.timed_placement import (
    Measure,
    Rival,
    TimedChoice,
    choose_by_time,
    fastest_of,
    with_pools,
)
from edgecompress.runtime import to_bytes
from tests.exporters.graphs import draw, graph, run
from tests.quantization.lowerings import lowering_of

PADS = "pads=[1,1,1,1]"
W = draw(4, 4, 3, 3) * np.float32(0.2)
X = draw(2, 4, 8, 8)
BODY = f"a = Conv<{PADS}>(x, w) r = Relu(a) c = Conv<{PADS}>(r, v) s = Add(c, r) t = Sin(s) y = Conv<{PADS}>(t, u)"


@pytest.fixture(scope="module")
def lowering() -> Lowering:
    return lowering_of(graph(BODY, w=W, v=W * 0.5, u=W * 2), X)


def _rivals(lowering: Lowering) -> list[Rival]:
    floats: list[tuple[str, ...]] = [(), ("y",), tuple(sorted(movable(lowering)))]
    return [Rival(floats=names, lowering=floating(lowering, names, BY_TIME)) for names in floats]


def _runs(*medians: float) -> NDArray[np.float64]:
    """Milliseconds of each, (60, files), a quiet machine's."""
    return np.array(medians) * np.exp(np.random.default_rng(0).normal(0, 0.001, (60, len(medians))))


SHAKEN = np.array([[1, 1, 3, 1], [1, 1, 1 / 3, 1]]).repeat(30, axis=0)
"""A machine that runs three times as slowly for half of the time, whoever is measured then."""


def _measured(first: NDArray[np.float64], then: NDArray[np.float64] | None = None) -> Measure:
    """What a first run measures, and a second: by default the same."""
    runs = iter([first, first if then is None else then])
    return lambda chosen: next(runs)[:, list(chosen)]


def test_the_fastest_is_chosen_and_the_change_is_told(lowering: Lowering) -> None:
    choice = fastest_of(_rivals(lowering), _measured(_runs(3.0, 3.5, 2.0, 2.5)))
    assert choice.floats == ("y",)
    (told,) = choice.changes
    assert told.startswith(
        "placement by time on this CPU: 4 operators integer in place of 5, 1.50x as fast as floats ("
    )
    assert "; by the table 0.86x as fast as floats (" in told


def test_floats_as_a_whole_are_chosen_where_integers_are_slower(lowering: Lowering) -> None:
    choice = fastest_of(_rivals(lowering), _measured(_runs(2.0, 3.0, 2.6, 2.0)))
    assert set(choice.floats) == movable(lowering)


@pytest.mark.parametrize(
    "then",
    [_runs(3.0, 2.0, 2.5, 3.0), _runs(3.0, 2.0, 1.98, 3.0), _runs(3.0, 2.0, 2.0, 3.0) * SHAKEN],
    ids=["the table is faster", "by less than two sessions of one file differ", "noise"],
)
def test_what_does_not_win_again_was_fast_by_chance(lowering: Lowering, then: NDArray[np.float64]) -> None:
    choice = fastest_of(_rivals(lowering), _measured(_runs(3.0, 2.0, 1.5, 3.0), then))
    assert choice.floats == ()
    assert choice.changes[0].startswith("placement by the table: ")


def test_the_table_stands_where_it_is_the_fastest(lowering: Lowering) -> None:
    choice = fastest_of(_rivals(lowering), _measured(_runs(3.0, 2.0, 2.5, 2.6)))
    assert choice.floats == ()
    assert "1.50x as fast as floats" in choice.changes[0]


def test_a_network_that_takes_next_to_no_time_is_not_timed_in_parts(lowering: Lowering) -> None:
    choice = choose_by_time(lowering, {"x": X}, 1)
    assert choice.floats == ()
    assert "too little to time parts of it" in choice.changes[0]


def test_a_network_is_timed_and_whatever_stays_float_agrees_with_it(
    lowering: Lowering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.quantization.timed_placement.SHORTEST_MS", 0.0)
    monkeypatch.setattr("edgecompress.quantization.timed_placement.SECONDS", 0.0)
    choice = choose_by_time(lowering, {"x": X}, 1)
    assert choice.changes[0].startswith("placement by ")
    written = floating(lowering, choice.floats, BY_TIME).write()
    assert Agreement.between([run(lowering.floats, X)], [run(written, X)]).sqnr_db > 20


def test_all_that_is_float_for_its_time_is_the_float_network(lowering: Lowering) -> None:
    # Its weights are too few to be rounded.
    everything = floating(lowering, sorted(movable(lowering)), BY_TIME).write()
    assert len(to_bytes(everything)) <= len(to_bytes(lowering.floats))
    np.testing.assert_array_equal(run(everything, X), run(lowering.floats, X))


@pytest.mark.parametrize(
    ("times", "pools"),
    [
        (_runs(2.0, 1.8), True),
        (_runs(2.0, 1.99), False),
        (_runs(2.0, 2.2), False),
        (_runs(2.0, 1.8) * SHAKEN[:, :2], True),
    ],
)
def test_float_pools_get_whole_blocks_where_that_is_faster(times: NDArray[np.float64], *, pools: bool) -> None:
    choice = with_pools(TimedChoice(floats=("y",), changes=("told",)), times)
    assert (choice.floats, choice.pools, choice.changes[0]) == (("y",), pools, "told")
    assert ("1.11x as fast" in choice.changes[-1]) is pools


@pytest.mark.parametrize(("channels", "timed"), [(24, 1), (32, 0)])
def test_a_network_with_a_float_pool_is_timed_both_ways(
    channels: int, timed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def noted(choice: TimedChoice, times: NDArray[np.float64]) -> TimedChoice:
        seen.append(times.shape[1])
        return choice

    module = "edgecompress.quantization.timed_placement"
    monkeypatch.setattr(f"{module}.SHORTEST_MS", 0.0)
    monkeypatch.setattr(f"{module}.SECONDS", 0.0)
    monkeypatch.setattr(f"{module}.with_pools", noted)
    monkeypatch.setattr(f"{module}.fastest_of", lambda rivals, measure: TimedChoice(floats=rivals[-1].floats))
    pooled = graph(
        f"a = Conv<{PADS}>(x, w) r = Relu(a) m = MaxPool<kernel_shape=[2,2]>(r) y = Conv(m, v)",
        w=draw(channels, 4, 3, 3),
        v=draw(4, channels, 1, 1),
    )
    choose_by_time(lowering_of(pooled, X), {"x": X}, 1)
    assert seen == [2] * timed
