"""What arithmetic does to labels, on tensors small enough to be done by hand."""

from __future__ import annotations

import pytest
import torch

from edgecompress.pruning.structure.channel_classes import Classes
from edgecompress.pruning.structure.channel_labels import (
    Labelled,
    add_up,
    combine,
    drop_axes,
    fresh,
    labelled,
    merge,
    reshape,
    touch,
    touch_all,
    varying,
)


@pytest.fixture
def classes() -> Classes:
    return Classes()


def test_a_parameter_has_new_labels_along_every_axis_longer_than_one(classes: Classes) -> None:
    weight = fresh(classes, (2, 1, 3))
    rows, columns = weight.slots
    assert rows[:, 0, 0].tolist() == [1, 2]
    assert columns[0, 0].tolist() == [3, 4, 5]
    assert (varying(rows), varying(columns)) == ({0}, {2})


def test_labels_that_became_one_class_vary_no_longer(classes: Classes) -> None:
    (slot,) = fresh(classes, (3,)).slots
    classes.unify(slot[1:], slot[:1].expand(2))
    assert labelled(classes, (3,), [slot]).slots == ()


def test_channels_that_meet_become_one_class(classes: Classes) -> None:
    left, right = fresh(classes, (2, 3)), fresh(classes, (3,))
    result = combine(classes, [left, right], (2, 3), "meets")
    assert classes.find(right.slots[0]).tolist() == classes.find(left.slots[1][0]).tolist()
    assert {tuple(varying(slot)) for slot in result.slots} == {(0,), (1,)}
    assert classes.frozen() == {}


def test_channels_that_meet_constants_stay(classes: Classes) -> None:
    left = fresh(classes, (2, 3))
    combine(classes, [left, Labelled((3,))], (2, 3), "meets")
    assert set(classes.frozen()) == set(left.slots[1][0].tolist())


def test_a_constant_of_one_element_meets_nobody(classes: Classes) -> None:
    result = combine(classes, [fresh(classes, (2, 3)), Labelled((2, 1)), Labelled(())], (2, 3), "meets")
    assert [slot[0].tolist() for slot in result.slots] == [[3, 4, 5]]
    assert set(classes.frozen()) == {1, 2}


def test_outer_channels_stay_apart_from_a_table_along_the_inner_ones(classes: Classes) -> None:
    heads = reshape(fresh(classes, (6,)), (2, 3))  # labels 1 to 6
    table = fresh(classes, (3,))
    result = combine(classes, [heads, table], (2, 3), "meets")
    assert [slot[:, 0].tolist() for slot in result.slots if varying(slot) == {0}] == [[1, 4]]
    assert classes.find(torch.arange(1, 7)).tolist() == [1, 1, 1, 4, 4, 4]
    assert set(classes.frozen()) == {7, 8, 9}


def test_inner_channels_leave_with_their_outer_one(classes: Classes) -> None:
    values = reshape(fresh(classes, (6,)), (2, 3))
    weights = fresh(classes, (2, 1))
    combine(classes, [values, weights], (2, 3), "meets")
    assert classes.find(torch.arange(1, 9)).tolist() == [1, 1, 1, 4, 4, 4, 1, 4]


def test_touch_freezes_what_lies_along_the_axes_alone(classes: Classes) -> None:
    rows, _ = fresh(classes, (2, 3)).slots
    assert touch(classes, rows, {1}, "why") is rows
    assert classes.frozen() == {}
    touch(classes, rows, {0}, "why")
    assert classes.frozen() == {1: "why", 2: "why"}


def test_touch_merges_what_lies_along_other_axes_too(classes: Classes) -> None:
    (slot,) = reshape(fresh(classes, (6,)), (2, 3)).slots
    assert touch(classes, slot, {1}, "why")[:, 0].tolist() == [1, 4]
    assert classes.frozen() == {}


def test_merge_makes_one_class_along_an_axis(classes: Classes) -> None:
    (slot,) = reshape(fresh(classes, (6,)), (2, 3)).slots
    merged = merge(classes, slot, {0})
    assert merged.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert varying(merged) == {1}


def test_a_sum_misses_no_channel_that_lies_along_it(classes: Classes) -> None:
    rows, columns = fresh(classes, (2, 3)).slots
    result = add_up(classes, Labelled((2, 3), (rows, columns)), {1})
    assert result.shape == (2,)
    assert [slot.tolist() for slot in result.slots] == [[1, 2]]
    assert classes.frozen() == {}


def test_a_sum_over_part_of_the_channels_takes_them_together(classes: Classes) -> None:
    result = add_up(classes, reshape(fresh(classes, (6,)), (2, 3)), {1})
    assert [slot.tolist() for slot in result.slots] == [[1, 4]]
    assert classes.find(torch.arange(1, 7)).tolist() == [1, 1, 1, 4, 4, 4]


def test_mixing_freezes_and_keeps_the_rest(classes: Classes) -> None:
    operand = fresh(classes, (2, 3))
    result = touch_all(classes, operand, {0}, "mixed")
    assert classes.frozen() == {1: "mixed", 2: "mixed"}
    assert result.shape == (2, 3)


def test_axes_vanish(classes: Classes) -> None:
    assert drop_axes(classes, fresh(classes, (2, 3)), {0, 1}) == Labelled(())


def test_a_slot_costs_no_memory() -> None:
    (slot, _) = fresh(Classes(), (2, 3)).slots
    assert reshape(Labelled((2, 3), (slot,)), (2, 3, 1)).slots[0].untyped_storage().nbytes() == 2 * 8
