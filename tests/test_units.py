"""Figures as people read them: what is printed is the figure, to the digits that are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgecompress
from edgecompress import units
from edgecompress.errors import plural
from edgecompress.validation.drops import span

SIZES = {"bytes": 1, "byte": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "k": 1e3, "M": 1e6, "G": 1e9, "": 1.0}


def _read(text: str) -> float:
    """The number that a text says, its unit counted in."""
    number = text.rstrip("kMGBbytes ")
    return float(number) * SIZES[text.removeprefix(number).strip()]


@given(st.integers(0, 10**13))
def test_sizes_and_counts_are_read_back(number: int) -> None:
    digit = next((0.005 * size for size in (1e9, 1e6) if number >= 0.99999 * size), 50)
    assert _read(units.kilobytes(number)) == pytest.approx(number, abs=max(50, digit) + 1e-6)
    assert _read(units.count(number)) == pytest.approx(number, abs=0.05 * max(1, _step(number)) + 1e-6)


def _step(number: int) -> float:
    """The unit in which a count is printed with one digit behind the point; 0 where it is printed whole."""
    return next((size for size in (1e9, 1e6, 1e3) if number >= size), 0)


@given(st.floats(1e-3, 1e6))
def test_milliseconds_have_three_digits(value_ms: float) -> None:
    assert float(units.milliseconds(value_ms).removesuffix(" ms")) == pytest.approx(value_ms, rel=0.005)


@given(st.floats(1e-3, 1e3))
def test_a_factor_is_the_same_both_ways(ratio: float) -> None:
    assert float(units.times(ratio).removesuffix("x")) == pytest.approx(max(ratio, 1 / ratio), abs=0.006)
    assert units.times(ratio) == units.times(1 / (1 / ratio))


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_a_change_is_what_is_added(before: float, after: float) -> None:
    points = units.metric_change(before, after, "%")
    assert points.endswith(" points")
    assert float(points.split()[0]) == pytest.approx(after - before, abs=0.006)
    value, unit = units.metric_change(before, after, "m").split()
    assert unit == "m"
    assert float(value) == pytest.approx(after - before, rel=0.001, abs=1e-9)


PRINTED: Mapping[str, Callable[[float], str]] = {
    "kilobytes": units.kilobytes,
    "count": lambda value: units.count(round(value)),
    "milliseconds": units.milliseconds,
    "decibels": units.decibels,
    "percent": units.percent,
    "metric, %": lambda value: units.metric(value, "%"),
    "metric, m": lambda value: units.metric(value, "m"),
    "metric": lambda value: units.metric(value, ""),
    "metric_change, %": lambda value: units.metric_change(0.0, value, "%"),
    "metric_change, m": lambda value: units.metric_change(value, 0.0, "m"),
    "signed": lambda value: units.signed(value, "%"),
    "times": lambda value: units.times(abs(value) + 1e-3),
    **{f"budget, {unit}": partial(units.budget, unit=unit) for unit in (*units.PLAIN, "share", "slices", "m")},
    **{f"limit, {unit}": partial(units.limit, unit=unit) for unit in (*units.PLAIN, "share", "slices", "m")},
    "span, %": lambda value: span((-abs(value), value), "%"),
    "span, m": lambda value: span((value, abs(value)), "m"),
}
NEAR_ROUNDING = [0.0, -0.0, 1.0, -0.004, 0.004, 99.95, 999.4, 999.6, 999_949.0, 999_951.0, 999_999_999.0, 1234.5]
ODD = re.compile(
    r"(?<![\d.])[+-]0(\.0*)?(?![\d.])"  # zero with a sign
    r"|\d\.(?!\d)"  # a point without digits behind it
    r"|\de\+"  # a power of ten for what can be written out
    r"|(?<![\d.,])1 (points|slices|bytes)\b"
    r"|\b1000\.0 ?[kMG]"  # the next unit is there for it
)


@pytest.mark.parametrize("name", PRINTED)
@given(st.one_of(st.sampled_from(NEAR_ROUNDING), st.floats(-1e12, 1e12), st.floats(-0.01, 0.01)))
def test_no_figure_is_odd(name: str, value: float) -> None:
    wanted = abs(value) if name in ("kilobytes", "count", "milliseconds", "limit, slices") else value
    text = PRINTED[name](wanted)
    assert ODD.search(text) is None, text
    assert text == text.strip()


@pytest.mark.parametrize(
    "text", ["-0.00 points", "+0.00 to +0.00", "-0.0 dB", "1234. m", "1.00e+03 ms", "1 slices", "1000.0 kB", "+0 %"]
)
def test_odd_figures_are_found(text: str) -> None:
    assert ODD.search(text) is not None


@given(
    st.integers(0, 10**6), st.sampled_from(["core", "batch", "class", "entry", "box", "axis", "layer", "day", "epoch"])
)
def test_one_thing_is_singular_and_no_other_number_is(number: int, noun: str) -> None:
    value, word = plural(number, noun).split(" ")
    assert int(value.replace(",", "")) == number
    assert (word == noun) == (number == 1)


@pytest.mark.parametrize("words", ["batches", "classes", "entries", "boxes", "axes", "days", "epochs", "branches"])
def test_plurals_are_spelled_as_they_are(words: str) -> None:
    singular = {"axes": "axis", "entries": "entry", "days": "day", "epochs": "epoch"}.get(
        words, words.removesuffix("es")
    )
    assert plural(2, singular) == f"2 {words}"


COUNTED = re.compile(
    r"\{(?!plural)[^{}]*\} (more |other )?(cores|samples|threads|images|layers|batches|epochs|slices|classes|runs|"
    r"outputs|inputs|channels|steps|nodes|operators|values|rows|bytes|dimensions|boxes|targets|labels|parameters|entries|workers)\b"
)
NEVER_ONE = (
    "{rate:.0f} samples",
    "{WIDEST} inputs",
    "{self._role} samples",
    "{derived.multiple} channels",
    "{count} channels",
    "{name!r} runs",
)
"""What is no count, or has its singular elsewhere."""


def test_counts_in_messages_go_through_plural() -> None:
    """A number with a word in the plural after it is wrong for 1."""
    found = [
        f"{file.name}: {match[0]}"
        for file in sorted(Path(edgecompress.__file__).parent.rglob("*.py"))
        for match in COUNTED.finditer(file.read_text())
        if match[0] not in NEVER_ONE
    ]
    assert found == []


@pytest.mark.parametrize(("value_db", "told"), [(199.9, "199.9 dB"), (200.0, "identical"), (-2.84, "-2.8 dB")])
def test_agreement_ends_where_outputs_are_identical(value_db: float, told: str) -> None:
    assert units.decibels(value_db) == told
