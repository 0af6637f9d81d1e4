"""A batch is taken apart in one way, and what does not go without saying is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.data.parts import TARGET_KEYS, InputNames, parts_of, target_key

ONE = InputNames(names=("image",), required=1)
TWO = InputNames(names=("image", "mask"), required=2)
OPTIONAL = InputNames(names=("image", "mask"), required=1)
X, M, Y, N = torch.ones(4, 3), torch.zeros(4, 2), torch.arange(4), ["a.png", "b.png", "c.png", "d.png"]
Y_TOLD, UNREAD = "'y_train' is taken for the labels", "'path' is not read: it holds a list"
THREE = "of the 3 parts of a batch the first part is the input, the next one the labels; the last one is not read"


@pytest.mark.parametrize(
    ("raw", "names", "told"),
    [
        ((X, Y), ONE, ""),
        ((X, Y, N), ONE, THREE),
        ((X, Y, M), ONE, THREE),
        ([X, Y, N, M], ONE, THREE.replace("of the 3", "of the 4").replace("one is not", "2 are not")),
        ({"image": X, "labels": Y}, ONE, ""),
        ({"image": X, "label": Y}, ONE, ""),
        ({"image": X, "target": Y}, ONE, "'target' is taken for the labels"),
        ({"x": X, "y": Y}, ONE, "'x' is taken for the input 'image', 'y' is taken for the labels"),
        (
            {"X_train": X, "y_train": Y},
            ONE,
            "'X_train' is taken for the input 'image', " + Y_TOLD,
        ),
        (
            {"img": X, "label": Y, "path": N},
            ONE,
            "'img' is taken for the input 'image', " + UNREAD,
        ),
        ({"image": X, "labels": Y, "path": N}, ONE, "'path' is not read: it holds a list"),
        (({"img": X}, Y), ONE, "'img' is taken for the input 'image'"),
        ({"img": X, "labels": Y}, OPTIONAL, "'img' is taken for the input 'image'"),
    ],
)
def test_the_only_tensor_is_the_input_and_what_follows_it_the_labels(raw: Any, names: InputNames, told: str) -> None:
    parts = parts_of(raw, names)
    taken = parts.inputs["image"] if isinstance(parts.inputs, dict) else parts.inputs
    assert taken is X
    assert parts.labels is Y
    assert parts.told == told


def test_two_inputs_that_are_needed_come_before_the_labels() -> None:
    parts = parts_of((X, M, Y), TWO)
    assert parts.inputs[0] is X
    assert parts.inputs[1] is M
    assert parts.labels is Y
    assert parts.told == ""
    assert parts_of((X, M, Y, N), TWO).told == (
        "of the 4 parts of a batch the first 2 parts are the inputs, the next one the labels; the last one is not read"
    )


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ((X, M, Y), OPTIONAL),  # a mask, or labels: nobody knows
        ({"picture": X, "cover": M}, TWO),
        ({"picture": X, "cover": M}, OPTIONAL),
        ({"picture": X, "cover": M}, ONE),
        ({"picture": 3}, ONE),
    ],
)
def test_what_is_not_certain_is_left_as_it_is(raw: Any, names: InputNames) -> None:
    parts = parts_of(raw, names)
    assert parts.inputs == raw
    assert (parts.labels, parts.told) == (None, "")


@given(st.permutations(TARGET_KEYS), st.integers(1, len(TARGET_KEYS)))
def test_the_key_of_the_targets_does_not_depend_on_the_order(keys: list[str], count: int) -> None:
    sample = dict.fromkeys(["x", *keys[:count]])
    assert target_key(sample) == min(keys[:count], key=TARGET_KEYS.index)


@given(st.sampled_from(TARGET_KEYS[1:]))
def test_an_input_of_that_name_is_no_target(key: str) -> None:
    assert target_key({"image": 0, key: 1}, ("image", key)) == "labels"
    named = InputNames(names=("image", key), required=2)
    assert parts_of({"image": X, key: Y}, named).labels is None


def test_arrays_of_numpy_are_read_alike() -> None:
    assert parts_of({"x": np.ones((2, 3)), "y": np.zeros(2)}, ONE).inputs["image"].shape == (2, 3)
