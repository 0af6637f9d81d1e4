"""The cut that is found is the cheapest of all, by trying them all."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.quantization.minimum_cut import Crossing, Times, fastest_integers

NAMES = "abcdef"
MILLISECONDS = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
TIMES = st.builds(Times, integer=MILLISECONDS, real=MILLISECONDS)
ENDS = st.sampled_from([*NAMES, "outside"])
CROSSINGS = st.builds(
    Crossing,
    writer=ENDS,
    readers=st.lists(ENDS, min_size=1, max_size=3, unique=True).map(tuple),
    quantize=MILLISECONDS,
    dequantize=MILLISECONDS,
)


def _time(parts: Mapping[str, Times], crossings: Sequence[Crossing], integers: Collection[str]) -> float:
    total = sum(times.integer if name in integers else times.real for name, times in parts.items())
    for crossing in crossings:
        readers = [name in integers for name in crossing.readers]
        if crossing.writer in integers:
            total += 0 if all(readers) else crossing.dequantize
        else:
            total += crossing.quantize if any(readers) else 0
    return total


@given(times=st.lists(TIMES, min_size=1, max_size=6), crossings=st.lists(CROSSINGS, max_size=8))
def test_no_other_labelling_takes_less_time(times: list[Times], crossings: list[Crossing]) -> None:
    parts = dict(zip(NAMES, times, strict=False))
    known = [
        Crossing(
            writer=each.writer if each.writer in parts else "outside",
            readers=tuple(dict.fromkeys(name if name in parts else "outside" for name in each.readers)),
            quantize=each.quantize,
            dequantize=each.dequantize,
        )
        for each in crossings
    ]
    choices = itertools.chain.from_iterable(itertools.combinations(parts, count) for count in range(len(parts) + 1))
    least = min(_time(parts, known, choice) for choice in choices)
    assert _time(parts, known, fastest_integers(parts, known)) == pytest.approx(least, abs=1e-6)


def test_what_costs_nothing_at_all_is_integer() -> None:
    assert fastest_integers({"a": Times(integer=0, real=0)}, []) == {"a"}


def test_a_chain_stays_whole_where_crossings_are_dear_and_falls_apart_where_they_are_cheap() -> None:
    parts = {"a": Times(integer=1, real=2), "b": Times(integer=2, real=1), "c": Times(integer=1, real=2)}
    for price, wanted in ((0.4, {"a", "c"}), (0.6, {"a", "b", "c"})):
        crossings = [
            Crossing(writer=writer, readers=(reader,), quantize=price, dequantize=price)
            for writer, reader in itertools.pairwise("abc")
        ]
        assert fastest_integers(parts, crossings) == wanted
