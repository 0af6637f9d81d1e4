"""Classes of a metric before and after, and a loss that the mean hides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.metrics.metric import named_measure
from edgecompress.validation.classes import class_changes, hidden_loss, hidden_loss_in_words

TOP1, RMSE = named_measure("top1"), named_measure("rmse")
values = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100))


@given(values, values)
def test_what_lost_most_is_first_and_what_cannot_be_compared_last(
    before: dict[str, float], after: dict[str, float]
) -> None:
    changes = class_changes(TOP1, before, after)
    assert sorted(change.name for change in changes) == sorted(before.keys() | after.keys())
    drops = [change.drop for change in changes]
    compared = [drop for drop in drops if drop is not None]
    assert compared == sorted((before[name] - after[name] for name in before.keys() & after.keys()), reverse=True)
    assert drops == compared + [None] * (len(drops) - len(compared))


def test_of_an_error_more_is_worse() -> None:
    changes = class_changes(RMSE, {"a": 1.0, "b": 1.0}, {"a": 0.5, "b": 1.5})
    assert [(change.name, change.drop) for change in changes] == [("b", 0.5), ("a", -0.5)]


def _lost(drops: list[float]) -> str | None:
    """The class that is told of classes that all count alike, each 90 % before."""
    before = {str(label): 90.0 for label in range(len(drops))}
    after = {str(label): 90.0 - drop for label, drop in enumerate(drops)}
    lost = hidden_loss(TOP1, sum(drops) / max(len(drops), 1), class_changes(TOP1, before, after))
    return None if lost is None else lost.name


@pytest.mark.parametrize(
    ("drops", "lost"),
    [
        ([0.0] * 39 + [20.0], "39"),  # 20 points, and 0.5 on the average
        ([20.0] * 2 + [0.0] * 38, "0"),
        ([0.0] * 39 + [9.0], None),  # little
        ([20.0] * 40, None),  # no more than the whole
        ([-12.0] * 4 + [0.0] * 32 + [12.0] * 4, None),  # chance: as far up as down
        ([20.0], None),
        ([], None),
    ],
)
def test_a_loss_is_told_where_neither_the_whole_nor_chance_explains_it(drops: list[float], lost: str | None) -> None:
    assert _lost(drops) == lost


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=20))
def test_changes_that_are_as_far_up_as_down_are_never_told(drops: list[float]) -> None:
    assert _lost([*drops, *(-drop for drop in drops)]) is None


def test_of_values_that_are_no_percent_it_is_the_share_of_the_class_that_counts() -> None:
    before, after = {"a": 2.0, "b": 2.0, "c": 2.0}, {"a": 2.0, "b": 2.0, "c": 2.2}
    assert hidden_loss(RMSE, 0.0, class_changes(RMSE, before, {**after, "c": 2.19})) is None
    lost = hidden_loss(RMSE, 0.0, class_changes(RMSE, before, {**after, "c": 2.21}))
    assert lost is not None
    assert lost.name == "c"


def test_without_targets_nothing_is_told() -> None:
    assert hidden_loss(TOP1, None, class_changes(TOP1, {"a": 9.0, "b": 9.0}, {"a": 50.0, "b": 0.0})) is None


def test_the_words_name_the_class_and_both_changes() -> None:
    changes = class_changes(TOP1, {"cat": 95.0, "dog": 90.0}, {"cat": 75.0, "dog": 90.0})
    assert hidden_loss_in_words(TOP1, 90.5, 90.0, changes[0]) == (
        "class 'cat' went from 95.00 % to 75.00 %, while accuracy changed by -0.50 points; look at its samples before"
        " this ships"
    )
