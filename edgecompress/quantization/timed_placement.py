"""Placement by measured time: of what can be integer, that becomes integer which makes this network faster here.

Two profiles, of the network as floats and with all integer that the table allows, and the price of a crossing give
each labelling an expected time, and a minimum cut finds the best. What profiles do not show, layouts above all, puts
the expectation off as if crossings cost more, or less. So the cuts at several prices are candidates, and the floats as
a whole are another: each is built, and they are timed against each other, interleaved. What was measured decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgecompress.arrays import Inputs
from edgecompress.errors import plural
from edgecompress.exporters.shapes import with_sizes
from edgecompress.quantization.crossing_price import crossing_price
from edgecompress.quantization.kept_float import BY_TIME
from edgecompress.quantization.kernel_forms import for_kernels
from edgecompress.quantization.lowering import Lowering, floating
from edgecompress.quantization.minimum_cut import fastest_integers
from edgecompress.quantization.timed_parts import crossings_of, movable, parts_of
from edgecompress.runtime import to_bytes
from edgecompress.timing.interleaving import STRETCHES, WARM_UP_RUNS
from edgecompress.timing.latency import interleave_sessions
from edgecompress.timing.ratios import ratio_of

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""On the price of a crossing."""
SHORTEST_MS = 0.2
"""Of a float run: less is mostly the call itself, and a placement by its time would be one by chance."""
SECONDS = 20.0
"""That all candidates together are timed for, about, once among each other and once more the fastest."""
LEAST_RUNS, MOST_RUNS = 4, 200
GAIN = 1.02
"""A candidate has to be so much faster than the table's placement: two sessions of one file differ by as much."""

Measure = Callable[[Sequence[int]], NDArray[np.float64]]
"""Times files by their numbers, interleaved: milliseconds of shape (runs, files)."""


@dataclass(frozen=True, kw_only=True)
class TimedChoice:
    """What the timing chose.

    ``floats`` are names of nodes that the table makes integer, and that are to stay float; ``pools`` whether float
    pools get whole blocks of channels; ``changes`` say why.
    """

    floats: tuple[str, ...] = ()
    pools: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A lowering that is timed, and the names of what stays float in it though the table makes it integer."""

    floats: tuple[str, ...]
    lowering: Lowering

    @property
    def integers(self) -> int:
        """Number of operators that are integer."""
        return len(movable(self.lowering))


def by_table(reason: str) -> TimedChoice:
    """The table's placement, and why it stands."""
    return TimedChoice(changes=(f"placement by the table: {reason}",))


def choose_by_time(lowering: Lowering, sample: Inputs, threads: int) -> TimedChoice:
    """Choose what stays float for the sake of time, on this CPU.

    Args:
        lowering: with all integer that the table allows.
        sample: what the network is timed on, by name; the batch that it will get.
        threads: those that the network will have.
    """
    before = to_bytes(lowering.floats)
    alone = float(np.median(interleave_sessions([before], sample, runs=4, threads=threads)))
    if alone < SHORTEST_MS:
        return by_table(f"a run takes {alone:.3f} ms, too little to time parts of it")
    rivals = _rivals(lowering, sample, threads)
    files = [before, *(_file(rival.lowering) for rival in rivals)]

    def measure(chosen: Sequence[int]) -> NDArray[np.float64]:
        runs = _runs(int(1e3 * SECONDS / (alone * len(chosen))))
        return interleave_sessions([files[index] for index in chosen], sample, runs=runs, threads=threads)

    choice = fastest_of(rivals, measure)
    chosen = next(rival.lowering for rival in rivals if rival.floats == choice.floats)
    files = [_file(chosen, pools=pools) for pools in (False, True)]
    return choice if files[0] == files[1] else with_pools(choice, measure((0, 1)))


def _file(lowering: Lowering, *, pools: bool = False) -> bytes:
    """The file that a lowering would ship as."""
    return to_bytes(for_kernels(lowering.write(), small=lowering.stores_all, pools=pools))


def with_pools(choice: TimedChoice, times: NDArray[np.float64]) -> TimedChoice:
    """The choice, with whole blocks of channels for float pools if that is faster beyond doubt.

    Args:
        choice: what stays float.
        times: milliseconds, (runs, 2), of the file without and with them.
    """
    ratio = ratio_of(times[:, 0], times[:, 1], STRETCHES)
    if ratio.low < 1 or ratio.value < GAIN:
        return choice
    told = f"float pools have whole blocks of channels: {ratio.value:.2f}x as fast ({ratio.low:.2f}-{ratio.high:.2f})"
    return replace(choice, pools=True, changes=(*choice.changes, told))


def _runs(calls: int) -> int:
    """The timed runs that fit into a number of calls, since each stretch begins with runs that warm it up."""
    fewest = STRETCHES * (WARM_UP_RUNS + 2)
    runs = calls - STRETCHES * WARM_UP_RUNS if calls >= fewest else 2 * STRETCHES * calls // fewest
    return int(np.clip(runs, LEAST_RUNS, MOST_RUNS))


def _rivals(lowering: Lowering, sample: Inputs, threads: int) -> list[Rival]:
    """What is timed, each placement once: the table's first, the cuts, and the floats as a whole."""
    found = {lowering.placement.placed: Rival(floats=(), lowering=lowering)}
    for names in (*_cuts(lowering, sample, threads), tuple(sorted(movable(lowering)))):
        rival = floating(lowering, names, BY_TIME)
        found.setdefault(rival.placement.placed, Rival(floats=names, lowering=rival))
    return list(found.values())


def _cuts(lowering: Lowering, sample: Inputs, threads: int) -> Iterator[tuple[str, ...]]:
    """What stays float at each price of a crossing."""
    part, times = parts_of(lowering, sample, threads)
    sized = with_sizes(lowering.floats, sample)
    for factor in FACTORS:
        price = crossing_price(threads).times(factor)
        integers = fastest_integers(times, list(crossings_of(sized, part, price)))
        yield tuple(name for name, of in part.items() if of not in integers)


def fastest_of(rivals: Sequence[Rival], measure: Measure) -> TimedChoice:
    """The fastest, if it is faster than the table's placement beyond doubt.

    The fastest of many is so by chance, too. So it is measured again, and only that counts.

    Args:
        rivals: the first is the table's placement, in which nothing stays float for the sake of time.
        measure: milliseconds, (runs, files), of the files with these numbers: 0 is the floats, the rivals follow.
    """
    floats, *columns = measure(range(1 + len(rivals))).T
    best = max(range(len(rivals)), key=lambda index: ratio_of(floats, columns[index], STRETCHES).value)
    if best == 0:
        return by_table(f"{_speed(floats, columns[0])}, and nothing else was faster")
    floats, table, chosen = measure((0, 1, 1 + best)).T
    won = ratio_of(table, chosen, STRETCHES)
    if won.low < 1 or won.value < GAIN:
        return by_table(f"{_speed(floats, table)}, and nothing else was faster beyond doubt")
    shares = f"{plural(rivals[best].integers, 'operator')} integer in place of {rivals[0].integers}"
    told = f"placement by time on this CPU: {shares}, {_speed(floats, chosen)}"
    return TimedChoice(floats=rivals[best].floats, changes=(f"{told}; by the table {_speed(floats, table)}",))


def _speed(floats: NDArray[np.float64], timed: NDArray[np.float64]) -> str:
    ratio = ratio_of(floats, timed, STRETCHES)
    return f"{ratio.value:.2f}x as fast as floats ({ratio.low:.2f}-{ratio.high:.2f})"
