"""A time is read as people write it, and ends what runs over it."""

from __future__ import annotations

import itertools

import pytest

from edgecompress.comparison.search.time_budget import OutOfTimeError, TimedProgress, seconds_of
from edgecompress.errors import RecipeError
from edgecompress.progress import Progress
from tests.heard import Heard


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("90 min", 5400), ("1h30m", 5400), ("1.5h", 5400), ("45s", 45), ("1H 1M 1S", 3661)],
)
def test_a_time(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "soon", "0h", "-1h", "1m2h", "2h later", 7200])
def test_what_is_none(text: str) -> None:
    told = f"a time budget is {text!r}; give one as 2h, 90m or 1h30m"
    with pytest.raises(RecipeError, match=f"^{told}"):
        seconds_of(text)


def test_the_work_ends_with_its_time() -> None:
    clock = itertools.count().__next__
    given = iter(range(10))
    with pytest.raises(OutOfTimeError):
        list(TimedProgress(Progress(), deadline=3, clock=clock).track(given, "calibrating", "batch"))
    assert next(given) == 4  # three were let through, and the fourth was one too many


def test_a_piece_of_work_that_would_be_late_is_not_begun() -> None:
    late = TimedProgress(Progress(), deadline=0, clock=lambda: 1)
    with pytest.raises(OutOfTimeError), late.step("training"):
        pytest.fail("it was begun")


def test_without_a_deadline_all_is_told_as_before() -> None:
    heard = Heard()
    endless = TimedProgress(heard, deadline=None)
    assert [*endless.track([1, 2], "calibrating", "batch")] == [1, 2]
    with endless.step("training"):
        pass
    endless.warn("too much")
    assert heard.lines == ["too much"]
