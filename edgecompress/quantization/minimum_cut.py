"""Minimum cut: which parts of a network become integers, where each has a time as integers and another as floats.

The time of a network is the sum of its parts' times, each as it is labelled, and of the times of turning values from
one kind of number into the other where neighbours are labelled differently. The labelling with the least sum is a
minimum cut between two terminals (Greig, Porteous, Seheult 1989, "Exact maximum a posteriori estimation for binary
images"): exact, and found in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

STEPS = 2**29
"""Whole steps that all times together are divided into: the flow is counted in 32 bits."""
INTEGER, FLOAT = 0, 1
"""The terminals."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """Milliseconds of one part as integers and as floats."""

    integer: float
    real: float


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A value between parts, and what it costs in milliseconds to turn it.

    ``quantize`` is paid once where ``writer`` is float and some of ``readers`` are integer, ``dequantize`` once where
    it is the other way round. Who is not among the parts is float.
    """

    writer: str
    readers: tuple[str, ...]
    quantize: float
    dequantize: float


def fastest_integers(parts: Mapping[str, Times], crossings: Sequence[Crossing]) -> frozenset[str]:
    """Names of the parts that are integer in the labelling with the least time.

    >>> parts = {"a": Times(integer=1, real=3), "b": Times(integer=4, real=3.5)}
    >>> between = Crossing(writer="a", readers=("b",), quantize=0.3, dequantize=0.3)
    >>> fastest_integers(parts, [between])
    frozenset({'a'})
    """
    arcs = list(_arcs(parts, crossings))
    total = sum(price for *_, price in arcs if np.isfinite(price))
    if total <= 0:
        return frozenset(parts)
    size = 2 + len(parts) + 2 * len(crossings)
    rows, columns, prices = (np.array(side) for side in zip(*arcs, strict=True))
    steps = np.where(np.isfinite(prices), np.rint(np.minimum(prices, total) / total * STEPS), 2 * STEPS)
    capacity = csr_array((steps.astype(np.int32), (rows, columns)), shape=(size, size), dtype=np.int32)
    residual = capacity - maximum_flow(capacity, INTEGER, FLOAT).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = set(breadth_first_order(residual, INTEGER, return_predecessors=False).tolist())
    return frozenset(name for place, name in enumerate(parts, 2) if place in reached)


def _arcs(parts: Mapping[str, Times], crossings: Sequence[Crossing]) -> Iterator[tuple[int, int, float]]:
    """What is paid where the first stays with the integers and the second goes to the floats."""
    places = {name: place for place, name in enumerate(parts, 2)}
    for name, times in parts.items():
        yield INTEGER, places[name], times.real
        yield places[name], FLOAT, times.integer
    for number, crossing in enumerate(crossings):
        writer, readers = places.get(crossing.writer, FLOAT), [places.get(name, FLOAT) for name in crossing.readers]
        wanted = 2 + len(parts) + 2 * number
        yield wanted, writer, crossing.quantize
        yield writer, wanted + 1, crossing.dequantize
        for reader in dict.fromkeys(readers):
            yield reader, wanted, np.inf
            yield wanted + 1, reader, np.inf
