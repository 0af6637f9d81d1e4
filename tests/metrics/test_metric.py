"""What a metric says of two values: by how much the second is worse, and what share of the first is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.metrics.metric import Measure, named_measure, traits
from edgecompress.registry import METRICS, built_in

MORE, LESS = named_measure("top1"), named_measure("mae")
values = st.floats(0.01, 100)


@given(values, values)
def test_a_gain_is_no_drop_whichever_way_is_better(before: float, after: float) -> None:
    for measure, better in ((MORE, after > before), (LESS, after < before)):
        drop, kept = measure.drop(before, after), measure.kept(before, after)
        assert drop is not None
        assert kept is not None
        assert (drop < 0) is better
        assert (kept > 1) is better or kept == pytest.approx(1)


@given(values, st.floats(0.1, 1))
def test_an_error_that_grows_keeps_what_an_accuracy_keeps_that_falls(value: float, share: float) -> None:
    assert MORE.kept(value, share * value) == pytest.approx(share)
    assert LESS.kept(share * value, value) == pytest.approx(share)


@pytest.mark.parametrize(
    ("measure", "before", "after", "kept"),
    [
        (MORE, 0.0, 1.0, None),  # no share of nothing
        (MORE, -0.5, 0.5, None),
        (MORE, 0.5, -0.5, -1.0),
        (LESS, 0.5, -0.5, None),
        (MORE, 50.0, 0.0, 0.0),
        (LESS, 0.0, 0.0, 1.0),
        (LESS, 0.5, 0.0, 1.0),
        (LESS, 0.0, 0.5, 0.0),
        (MORE, None, 1.0, None),
    ],
)
def test_a_share_is_told_where_there_is_one(
    measure: Measure, before: float | None, after: float | None, kept: float | None
) -> None:
    assert measure.kept(before, after) == kept


def test_a_missing_value_has_no_drop() -> None:
    assert (MORE.drop(None, 1.0), MORE.drop(1.0, None)) == (None, None)


@pytest.mark.parametrize("name", built_in(METRICS))
def test_each_file_says_all_of_its_metric(name: str) -> None:
    measure = named_measure(name)
    assert isinstance(measure.higher_is_better, bool)
    assert measure.name == name
    assert measure.drop_unit == ("points" if measure.unit == "%" else measure.unit)


def test_what_does_not_say_is_taken_for_more() -> None:
    silent = Measure(name="mine", make=MORE.make)
    assert silent.wants_more
    assert silent.drop(2.0, 1.0) == 1.0


def test_a_value_below_zero_keeps_nothing_of_one_above() -> None:
    cosine = named_measure("cosine")
    assert cosine.kept(0.9, -0.18) == pytest.approx(-0.2)
    assert cosine.kept(0.9, 0.0) == 0.0
    assert cosine.kept(-0.5, 0.5) is None


class Says:
    """A metric that says of itself what is to be read."""

    def __init__(self, **said: Any) -> None:
        vars(self).update(said)


def test_what_a_metric_says_is_read_as_its_kind() -> None:
    found = traits(Says(higher_is_better=np.False_, of_classes=1, ignores=255, unit=7))
    assert found == {"higher_is_better": False, "of_classes": True, "ignores": (255,), "unit": "7"}
    assert found["higher_is_better"] is False
